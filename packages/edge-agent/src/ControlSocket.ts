import { Clock, Effect, FileSystem, Path, Ref, Schema, type Scope } from "effect"
import { connect, createServer, type Server } from "node:net"
import { text } from "node:stream/consumers"

/**
 * The socket of a running agent, in its state folder: it answers how the agent is, and that it is there at all,
 * so that two agents never fight over one token on one machine.
 */

export const Status = Schema.Struct({
  state: Schema.Literals(["dialing", "connected", "waiting", "draining"]),
  /** Milliseconds since 1970. */
  since: Schema.Finite,
  detail: Schema.NullOr(Schema.String),
  // Of the agent that runs, whatever is in the state folder by now.
  edgeId: Schema.String,
  cloudUrl: Schema.String,
  /** Targets by the service's name. */
  services: Schema.Record(Schema.String, Schema.String),
  version: Schema.String,
  pid: Schema.Int
})
export type Status = typeof Status.Type

export type About = Pick<Status, "edgeId" | "cloudUrl" | "services" | "version" | "pid">

/** Sets what the socket answers. */
export interface Control {
  readonly tell: (status: Pick<Status, "state" | "detail">) => Effect.Effect<void>
  readonly about: (about: About) => Effect.Effect<void>
}

export type Answer =
  | { readonly _tag: "nobody" }
  | { readonly _tag: "status"; readonly status: Status }
  /** An agent is there, and this is why it did not say how it is. */
  | { readonly _tag: "silent"; readonly problem: string }

export class AlreadyRunning extends Schema.TaggedError<AlreadyRunning>()("AlreadyRunning", {
  folder: Schema.String
}) {
  override get message(): string {
    return `an agent is running already for ${this.folder}`
  }
}

export class SocketUnusable extends Schema.TaggedError<SocketUnusable>()("SocketUnusable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `cannot make the agent's socket ${this.file} (${this.problem})`
  }
}

/** What a running agent says. */
export const ask = Effect.fn("ControlSocket.ask")(function* (
  folder: string
): Effect.fn.Return<Answer, never, FileSystem.FileSystem | Path.Path> {
  return yield* Effect.scoped(Effect.flatMap(socketPath(folder), connectTo)).pipe(
    Effect.catchTag("SocketUnusable", ({ problem }) => Effect.succeed({ _tag: "silent" as const, problem }))
  )
})

const connectTo = (path: string): Effect.Effect<Answer> =>
  Effect.callback<Answer>((resume) => {
    const socket = connect(path)
    socket.once("error", ({ code = "" }: NodeJS.ErrnoException) =>
      resume(Effect.succeed(NOBODY.has(code) ? { _tag: "nobody" } : { _tag: "silent", problem: code }))
    )
    socket.once("connect", () => resume(Effect.promise(() => text(socket).then(understand, () => mute))))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: ANSWER_MILLIS, orElse: () => Effect.succeed(mute) }))

const mute: Answer = { _tag: "silent", problem: "no answer" }

/** No socket, no listener behind it, or a file in its place. */
const NOBODY = new Set(["ENOENT", "ECONNREFUSED", "ENOTSOCK", "ENOTDIR"])

const ANSWER_MILLIS = 5_000

const understand = (answer: string): Answer => {
  const status = decode(answer)
  return status._tag === "Some" ? { _tag: "status", status: status.value } : mute
}

const decode = Schema.decodeOption(Schema.fromJsonString(Status))

/** Answers until the scope closes. */
export const serve = Effect.fn("ControlSocket.serve")(function* (
  folder: string,
  about: About
): Effect.fn.Return<
  Control,
  AlreadyRunning | SocketUnusable,
  FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const fs = yield* FileSystem.FileSystem
  const file = yield* socketFile(folder)
  if ((yield* ask(folder))._tag !== "nobody") return yield* new AlreadyRunning({ folder })
  // Left by an agent that was killed: nobody answers there.
  yield* Effect.ignore(fs.remove(file))
  const now = yield* Clock.currentTimeMillis
  const current = yield* Ref.make<Status>({ ...about, state: "dialing", since: now, detail: null })
  yield* Effect.acquireRelease(
    Effect.scoped(Effect.flatMap(socketPath(folder), (path) => listen(path, file, current))),
    (server) =>
      // Not by the server, which knows it by a name that may be gone.
      Effect.andThen(
        Effect.ignore(fs.remove(file)),
        Effect.sync(() => server.close())
      )
  )
  return {
    tell: (status) =>
      Effect.flatMap(Clock.currentTimeMillis, (since) =>
        Ref.update(current, (before) => ({ ...before, ...status, since }))
      ),
    about: (changed) => Ref.update(current, (before) => ({ ...before, ...changed }))
  }
})

const listen = (path: string, file: string, current: Ref.Ref<Status>) =>
  Effect.callback<Server, SocketUnusable>((resume) => {
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy())
      socket.end(JSON.stringify(Ref.getUnsafe(current)))
    })
    server.once("error", ({ code, message }: NodeJS.ErrnoException) =>
      resume(Effect.fail(new SocketUnusable({ file, problem: code ?? message })))
    )
    server.listen(path, () => resume(Effect.succeed(server)))
  })

const socketFile = (folder: string) =>
  Effect.map(Path.Path, (path) =>
    process.platform === "win32"
      ? `\\\\.\\pipe\\edge-relay-${folder.replaceAll(/[^a-zA-Z0-9]/g, "-")}`
      : path.join(path.resolve(folder), "agent.sock")
  )

/** `sun_path` has 104 bytes on macOS and 108 on Linux (unix(7)), a closing zero among them. */
const MAX_PATH_BYTES = 103

/** A name of the socket that fits, for as long as the scope is open: a longer one goes through a symbolic link. */
const socketPath = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = yield* socketFile(folder)
  if (process.platform === "win32" || Buffer.byteLength(file) <= MAX_PATH_BYTES) return file
  // Of the mode 0700: nobody else can put another link in its place.
  return yield* fs.makeTempDirectoryScoped({ prefix: "edge-relay-" }).pipe(
    Effect.map((temporary) => path.join(temporary, "state")),
    Effect.tap((link) => fs.symlink(path.resolve(folder), link)),
    Effect.map((link) => path.join(link, "agent.sock")),
    Effect.mapError(
      ({ reason }) =>
        new SocketUnusable({
          file,
          problem: `longer than ${MAX_PATH_BYTES} bytes, and no shorter name for it: ${reason._tag}`
        })
    )
  )
})
