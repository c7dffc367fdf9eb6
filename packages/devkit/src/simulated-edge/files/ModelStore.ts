/** Models on the simulated edge's disk. An empty folder gets one model to begin with. */
import {
  NotFound,
  type InsufficientStorage,
  type PayloadTooLarge
} from "@edge-relay/domain/edge-api/EdgeProblem"
import { Model, ModelId } from "@edge-relay/domain/edge-api/Models"
import { Context, DateTime, Effect, Layer, Path, Stream } from "effect"
import * as BlobFolder from "./BlobFolder.ts"

/** The model that is there from the start. */
export const firstModel = {
  id: ModelId.make("people-and-cars"),
  name: "People and cars",
  sizeBytes: 256 * 1024
}

export class ModelStore extends Context.Service<
  ModelStore,
  {
    readonly list: Effect.Effect<ReadonlyArray<Model>>
    readonly get: (id: ModelId) => Effect.Effect<Model, NotFound>
    readonly find: (
      id: ModelId
    ) => Effect.Effect<{ readonly details: Model; readonly path: string }, NotFound>
    readonly put: (
      id: ModelId,
      body: Stream.Stream<Uint8Array, unknown>,
      name: string | null
    ) => Effect.Effect<
      { readonly details: Model; readonly isNew: boolean },
      PayloadTooLarge | InsufficientStorage
    >
    readonly remove: (id: ModelId) => Effect.Effect<void, NotFound>
  }
>()("@edge-relay/devkit/simulated-edge/files/ModelStore") {
  static readonly layer = (options: { readonly folder: string; readonly maxBytes: number }) =>
    Layer.effect(
      ModelStore,
      Effect.gen(function* () {
        const path = yield* Path.Path
        const blobs = yield* BlobFolder.make(path.join(options.folder, "models"), Model, options.maxBytes)
        const missing = (id: ModelId) => new NotFound({ detail: `there is no model ${id}` })

        const find = Effect.fn("ModelStore.find")(function* (id: ModelId) {
          return (yield* blobs.get(id)) ?? (yield* missing(id))
        })

        const put = Effect.fn("ModelStore.put")(
          (id: ModelId, body: Stream.Stream<Uint8Array, unknown>, name: string | null) =>
            blobs.put(body, (sizeBytes, sha256) =>
              Effect.map(DateTime.now, (createdAt) => ({
                id,
                name: name ?? id,
                sizeBytes,
                sha256,
                createdAt
              }))
            )
        )

        if ((yield* blobs.list).length === 0) {
          const { id, name, sizeBytes } = firstModel
          yield* put(
            id,
            Stream.succeed(Uint8Array.from({ length: sizeBytes }, (_, at) => (at * 31) & 255)),
            name
          )
        }

        return ModelStore.of({
          list: blobs.list,
          get: (id) => Effect.map(find(id), ({ details }) => details),
          find,
          put,
          remove: Effect.fn("ModelStore.remove")(function* (id) {
            if (!(yield* blobs.remove(id))) return yield* missing(id)
          })
        })
      })
    )
}
