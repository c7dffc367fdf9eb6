/** Images and videos on the simulated edge's disk. */
import {
  NotFound,
  type InsufficientStorage,
  type PayloadTooLarge
} from "@edge-relay/domain/edge-api/EdgeProblem"
import { Media, MediaId, type MediaType } from "@edge-relay/domain/edge-api/Media"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Context, DateTime, Effect, Layer, Path, type Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import * as BlobFolder from "./BlobFolder.ts"

export class MediaStore extends Context.Service<
  MediaStore,
  {
    /** Newest first. */
    readonly list: Effect.Effect<ReadonlyArray<Media>>
    readonly find: (
      id: MediaId
    ) => Effect.Effect<{ readonly details: Media; readonly path: string }, NotFound>
    readonly add: (
      body: Stream.Stream<Uint8Array, unknown>,
      options: { readonly name: string | null; readonly contentType: MediaType }
    ) => Effect.Effect<Media, PayloadTooLarge | InsufficientStorage>
    readonly remove: (id: MediaId) => Effect.Effect<void, NotFound>
  }
>()("@edge-relay/devkit/simulated-edge/files/MediaStore") {
  static readonly layer = (options: { readonly folder: string; readonly maxBytes: number }) =>
    Layer.effect(
      MediaStore,
      Effect.gen(function* () {
        const path = yield* Path.Path
        const random = yield* SecureRandom.SecureRandom
        const blobs = yield* BlobFolder.make(path.join(options.folder, "media"), Media, options.maxBytes)
        const missing = (id: MediaId) => new NotFound({ detail: `there is no media ${id}` })

        return MediaStore.of({
          list: Effect.map(blobs.list, (all) => all.reverse()),
          find: Effect.fn("MediaStore.find")(function* (id) {
            return (yield* blobs.get(id)) ?? (yield* missing(id))
          }),
          add: Effect.fn("MediaStore.add")(function* (body, { name, contentType }) {
            const typeId = yield* TypeId.make("media").pipe(
              Effect.provideService(SecureRandom.SecureRandom, random)
            )
            const id = MediaId.make(typeId)
            const { details } = yield* blobs.put(body, (sizeBytes, sha256) =>
              Effect.map(DateTime.now, (createdAt) => ({
                id,
                name: name ?? id,
                kind: contentType.startsWith("image/") ? ("image" as const) : ("video" as const),
                contentType,
                sizeBytes,
                sha256,
                createdAt
              }))
            )
            return details
          }),
          remove: Effect.fn("MediaStore.remove")(function* (id) {
            if (!(yield* blobs.remove(id))) return yield* missing(id)
          })
        })
      })
    )
}
