import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Context, Effect, FileSystem, Layer, Option, Path, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import * as Hex from "effect/encoding/Hex"

/**
 * What a paired edge keeps: who it is, the secret that says so, and what it offers. One file of mode 0600 in the
 * user's configuration folder, replaced as a whole, so that a crash leaves the old one or the new one.
 */

export class Credentials extends Schema.Class<Credentials>("@edge-relay/edge-agent/Credentials")({
  cloudUrl: Schema.String,
  edgeId: EdgeId,
  token: Schema.RedactedFromValue(Schema.String),
  tunnelUrl: Schema.String.check(Schema.makeFilter((text) => URL.canParse(text))),
  /** Targets by the service's name. */
  services: Schema.Record(Schema.String, Schema.String),
  /** A PEM file of certificate authorities to trust, in place of the system's. */
  caFile: Schema.optionalKey(Schema.String)
}) {}

export class NotPaired extends Schema.TaggedError<NotPaired>()("NotPaired", { file: Schema.String }) {
  override get message(): string {
    return `this machine is not paired (no ${this.file}): run edge-relay pair CODE --url URL first`
  }
}

export class StateUnusable extends Schema.TaggedError<StateUnusable>()("StateUnusable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.file} ${this.problem}`
  }
}

export class AgentState extends Context.Service<
  AgentState,
  {
    readonly folder: string
    readonly file: string
    readonly read: Effect.Effect<Credentials, NotPaired | StateUnusable>
    /** Fails where a write would; writes nothing. For before what can be done only once. */
    readonly checkWritable: Effect.Effect<void, StateUnusable>
    readonly write: (credentials: Credentials) => Effect.Effect<void, StateUnusable>
    /** The machine is paired no longer. */
    readonly remove: Effect.Effect<void, StateUnusable>
  }
>()("@edge-relay/edge-agent/AgentState") {
  static readonly layer = (folder: string) =>
    Layer.effect(
      AgentState,
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const random = yield* SecureRandom.SecureRandom
        const file = path.join(folder, "credentials.json")
        const unusable = (problem: string) => new StateUnusable({ file, problem })
        const checkWritable = (at: string): Effect.Effect<void, StateUnusable> =>
          fs.access(at, { writable: true }).pipe(
            Effect.catch((error) => {
              const parent = path.dirname(at)
              return error.reason._tag === "NotFound" && parent !== at
                ? checkWritable(parent)
                : Effect.fail(unusable(`cannot be written (${error.reason._tag})`))
            })
          )
        /** What root writes is for the agent, which runs as whom the folder belongs to. */
        const giveToOwner = Effect.fnUntraced(function* (temporary: string) {
          if (process.getuid?.() !== 0) return
          const { gid, uid } = yield* fs.stat(folder)
          if (Option.isSome(uid) && Option.isSome(gid)) yield* fs.chown(temporary, uid.value, gid.value)
        })
        return AgentState.of({
          folder,
          file,
          checkWritable: Effect.suspend(() =>
            checkWritable(path.join(path.resolve(folder), "credentials.json"))
          ),
          read: fs.readFileString(file).pipe(
            Effect.mapError((error) =>
              error.reason._tag === "NotFound" ? new NotPaired({ file }) : unusable("cannot be read")
            ),
            Effect.flatMap((text) =>
              Effect.mapError(decode(text), () => unusable("is damaged: pair this machine again"))
            )
          ),
          remove: Effect.mapError(fs.remove(file, { force: true }), (error) =>
            unusable(`cannot be removed (${error.reason._tag})`)
          ),
          write: Effect.fn("AgentState.write")(function* (credentials) {
            const suffix = Hex.encode(yield* random.randomBytes(6))
            const temporary = `${file}.${suffix}`
            const text = yield* Effect.orDie(encode(credentials))
            yield* Effect.gen(function* () {
              yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
              const handle = yield* fs.open(temporary, { flag: "wx", mode: 0o600 })
              yield* handle.writeAll(new TextEncoder().encode(`${text}\n`))
              yield* handle.sync
            }).pipe(
              Effect.scoped,
              Effect.andThen(giveToOwner(temporary)),
              Effect.andThen(fs.rename(temporary, file)),
              Effect.tapError(() => Effect.ignore(fs.remove(temporary))),
              Effect.mapError((error) => unusable(`cannot be written (${error.reason._tag})`))
            )
          })
        })
      })
    )
}

const Json = Schema.fromJsonString(Schema.toCodecJson(Credentials))
const decode = Schema.decodeEffect(Json)
const encode = Schema.encodeEffect(Json)

/** Where the state is kept unless `--state` says otherwise (XDG Base Directory Specification 0.8). */
export const defaultFolder = (
  environment: Readonly<Record<string, string | undefined>>,
  home: string
): string => {
  const configured = environment["XDG_CONFIG_HOME"]
  // The specification: a relative path is to be ignored.
  const base = configured?.startsWith("/") === true ? configured : `${home}/.config`
  return `${base}/edge-relay`
}
