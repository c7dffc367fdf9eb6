import { Clock, Effect, FileSystem, Schema } from "effect"

/**
 * The sign-in of a person on this machine: one file of mode 0600, replaced as a whole, so that a crash leaves the old one
 * or the new one.
 */
export class Login extends Schema.Class<Login>("@edge-relay/edge-agent/Login")({
  cloudUrl: Schema.String,
  accessToken: Schema.RedactedFromValue(Schema.String),
  refreshToken: Schema.RedactedFromValue(Schema.String),
  /** Of the access token, in milliseconds since 1970. */
  expiresAt: Schema.Finite,
  /** When one has to sign in anew. */
  endsAt: Schema.String
}) {}

export class LoginUnusable extends Schema.TaggedError<LoginUnusable>()("LoginUnusable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return this.problem === "NotFound"
      ? "not signed in: edge-relay login --url URL, or set EDGE_RELAY_TOKEN"
      : `${this.file} ${this.problem}`
  }
}

const fileIn = (folder: string): string => `${folder}/login.json`

const Json = Schema.fromJsonString(Schema.toCodecJson(Login))
const decode = Schema.decodeEffect(Json)
const encode = Schema.encodeEffect(Json)

export const read = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const file = fileIn(folder)
  const text = yield* Effect.mapError(fs.readFileString(file), ({ reason }) =>
    reason._tag === "NotFound"
      ? new LoginUnusable({ file, problem: "NotFound" })
      : new LoginUnusable({ file, problem: `cannot be read (${reason._tag})` })
  )
  return yield* Effect.mapError(
    decode(text),
    () => new LoginUnusable({ file, problem: "is damaged: edge-relay login" })
  )
})

export const write = Effect.fnUntraced(function* (folder: string, login: Login) {
  const fs = yield* FileSystem.FileSystem
  const file = fileIn(folder)
  // Whoever writes holds the lock, or is the one who signs in.
  const temporary = `${file}.new`
  const text = yield* Effect.orDie(encode(login))
  yield* Effect.gen(function* () {
    yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
    yield* Effect.ignore(fs.remove(temporary))
    const handle = yield* fs.open(temporary, { flag: "wx", mode: 0o600 })
    yield* handle.writeAll(new TextEncoder().encode(`${text}\n`))
    yield* handle.sync
  }).pipe(
    Effect.scoped,
    Effect.andThen(fs.rename(temporary, file)),
    Effect.mapError(
      ({ reason }) => new LoginUnusable({ file, problem: `cannot be written (${reason._tag})` })
    )
  )
})

export const remove = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.ignore(fs.remove(fileIn(folder)))
})

const lookMillis = 50
/** A refresh takes one request: whoever holds the lock for longer has died. */
const staleMillis = 60_000

/** Runs alone among the processes of this machine that do the same. */
export const locked = <A, E, R>(folder: string, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = `${fileIn(folder)}.lock`
    const take: Effect.Effect<void, LoginUnusable> = fs
      .writeFileString(file, "", { flag: "wx", mode: 0o600 })
      .pipe(
        Effect.catch(({ reason }) =>
          reason._tag === "AlreadyExists"
            ? removeStale(fs, file).pipe(Effect.andThen(Effect.sleep(lookMillis)), Effect.andThen(take))
            : Effect.fail(new LoginUnusable({ file, problem: `cannot be written (${reason._tag})` }))
        )
      )
    return yield* Effect.acquireUseRelease(
      take,
      () => effect,
      () => Effect.ignore(fs.remove(file))
    )
  })

const removeStale = Effect.fnUntraced(function* (fs: FileSystem.FileSystem, file: string) {
  const now = yield* Clock.currentTimeMillis
  const info = yield* Effect.option(fs.stat(file))
  const at = info._tag === "Some" && info.value.mtime._tag === "Some" ? info.value.mtime.value.getTime() : now
  if (now - at > staleMillis) yield* Effect.ignore(fs.remove(file))
})
