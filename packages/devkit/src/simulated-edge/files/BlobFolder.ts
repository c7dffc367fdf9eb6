/**
 * A folder of files with a JSON record each, written as they stream in and kept whole or not at all.
 *
 * The bytes go to `*.part`, are synced and renamed to `*.bin`, a name of their own; then the record, `ID.json`, is
 * put in place by a rename, which is the commit. What a crash leaves between is removed at the next start.
 */
import { InsufficientStorage, PayloadTooLarge } from "@edge-relay/domain/edge-api/EdgeProblem"
import { Clock, Effect, FileSystem, Path, type PlatformError, Ref, Schema, Semaphore, Stream } from "effect"
import { HttpApiError } from "effect/http-api"
import { createHash } from "node:crypto"

export interface BlobFolder<Details extends { readonly id: string }> {
  /** By id. */
  readonly list: Effect.Effect<ReadonlyArray<Details>>
  readonly get: (
    id: string
  ) => Effect.Effect<{ readonly details: Details; readonly path: string } | undefined>
  /** Takes the whole of `body`, then keeps it under the id of its details; tells whether that id is new. */
  readonly put: (
    body: Stream.Stream<Uint8Array, unknown>,
    describe: (sizeBytes: number, sha256: string) => Effect.Effect<Details>
  ) => Effect.Effect<
    { readonly details: Details; readonly isNew: boolean },
    PayloadTooLarge | InsufficientStorage
  >
  /** Tells whether there was such a one. */
  readonly remove: (id: string) => Effect.Effect<boolean>
}

/** `maxBytes` is the most that one body may have. */
export const make = Effect.fn("BlobFolder.make")(function* <Details extends { readonly id: string }, Encoded>(
  folder: string,
  schema: Schema.Codec<Details, Encoded>,
  maxBytes: number
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const Blob = Schema.Struct({ details: schema, file: Schema.String })
  const BlobJson = Schema.fromJsonString(Blob)
  const commits = yield* Semaphore.make(1)
  const count = yield* Ref.make(0)
  const startedAt = yield* Clock.currentTimeMillis
  const at = (name: string): string => path.join(folder, name)

  // Unique among the runs of one folder too, since leftovers of earlier ones may still be there.
  const newName = Effect.map(
    Ref.updateAndGet(count, (n) => n + 1),
    (n) => `${startedAt.toString(36)}-${process.pid}-${n}`
  )

  const removeFile = (file: string) =>
    Effect.ignore(fs.remove(file, { force: true }), { log: "Warn", message: `${file} could not be removed` })

  /** What earlier runs committed; the rest is swept away. */
  const load = Effect.gen(function* () {
    yield* fs.makeDirectory(folder, { recursive: true })
    const names = yield* fs.readDirectory(folder)
    const found = new Map<string, typeof Blob.Type>()
    for (const name of names.filter((name) => name.endsWith(".json") && !name.endsWith(".part.json"))) {
      const blob = yield* Effect.option(
        Effect.flatMap(fs.readFileString(at(name)), Schema.decodeEffect(BlobJson))
      )
      if (blob._tag === "Some" && names.includes(blob.value.file))
        found.set(blob.value.details.id, blob.value)
    }
    const kept = new Set([...found].flatMap(([id, { file }]) => [`${id}.json`, file]))
    const strays = names.filter((name) => /\.(json|bin|part)$/.test(name) && !kept.has(name))
    yield* Effect.forEach(strays, (name) => removeFile(at(name)), { discard: true })
    return found
  })

  const blobs = yield* Ref.make<ReadonlyMap<string, typeof Blob.Type>>(yield* load)

  const get = Effect.fn("BlobFolder.get")(function* (id: string) {
    const blob = (yield* Ref.get(blobs)).get(id)
    return blob === undefined ? undefined : { details: blob.details, path: at(blob.file) }
  })

  const receive = Effect.fnUntraced(function* (body: Stream.Stream<Uint8Array, unknown>, part: string) {
    const file = yield* fs.open(part, { flag: "wx" })
    const hash = createHash("sha256")
    let sizeBytes = 0
    yield* body.pipe(
      // A body breaks off when its client does; there is nobody left to tell.
      Stream.catch((cause) =>
        HttpApiError.HttpApiPayloadTooLarge.is(cause) ? Stream.fail(tooLarge) : Stream.die(cause)
      ),
      Stream.runForEach((chunk): Effect.Effect<void, PayloadTooLarge | PlatformError.PlatformError> => {
        sizeBytes += chunk.length
        if (sizeBytes > maxBytes) return Effect.fail(tooLarge)
        hash.update(chunk)
        return file.writeAll(chunk)
      })
    )
    yield* file.sync
    return { sizeBytes, sha256: hash.digest("hex") }
  }, Effect.scoped)

  const commit = Effect.fnUntraced(function* (blob: typeof Blob.Type, part: string) {
    const json = yield* Effect.orDie(Schema.encodeEffect(BlobJson)(blob))
    const { id } = blob.details
    return yield* Effect.gen(function* () {
      yield* fs.rename(part, at(blob.file))
      yield* fs.writeFileString(`${part}.json`, json)
      yield* fs.rename(`${part}.json`, at(`${id}.json`))
      const before = (yield* Ref.get(blobs)).get(id)
      yield* Ref.update(blobs, (all) => new Map(all).set(id, blob))
      if (before !== undefined) yield* removeFile(at(before.file))
      return before
    }).pipe(
      Effect.onError(() => removeFile(at(blob.file))),
      Effect.uninterruptible,
      commits.withPermit
    )
  })

  const put = Effect.fn("BlobFolder.put")(function* (
    body: Stream.Stream<Uint8Array, unknown>,
    describe: (sizeBytes: number, sha256: string) => Effect.Effect<Details>
  ) {
    const name = yield* newName
    const part = at(`${name}.part`)
    return yield* Effect.gen(function* () {
      const { sizeBytes, sha256 } = yield* receive(body, part)
      const details = yield* describe(sizeBytes, sha256)
      const before = yield* commit({ details, file: `${name}.bin` }, part)
      return { details, isNew: before === undefined }
    }).pipe(
      Effect.ensuring(removeFile(part)),
      Effect.catchTag("PlatformError", (error) =>
        isFull(error)
          ? Effect.fail(new InsufficientStorage({ detail: "the edge's disk is full" }))
          : Effect.die(error)
      )
    )
  })

  const remove = Effect.fn("BlobFolder.remove")(function* (id: string) {
    const blob = (yield* Ref.get(blobs)).get(id)
    if (blob === undefined) return false
    yield* Effect.orDie(fs.remove(at(`${id}.json`), { force: true }))
    yield* Ref.update(blobs, (all) => new Map([...all].filter(([each]) => each !== id)))
    yield* removeFile(at(blob.file))
    return true
  }, commits.withPermit)

  const tooLarge = new PayloadTooLarge({ detail: `a body of more than ${maxBytes} bytes is not taken` })

  const list = Effect.map(Ref.get(blobs), (all) =>
    [...all.values()].map(({ details }) => details).sort((a, b) => (a.id < b.id ? -1 : 1))
  )

  return { list, get, put, remove } satisfies BlobFolder<Details>
})

const isFull = ({ reason }: PlatformError.PlatformError): boolean => {
  const cause = reason.cause
  return cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT")
}
