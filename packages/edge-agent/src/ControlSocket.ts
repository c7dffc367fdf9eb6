import { Clock, Effect, FileSystem, Path, Ref, Schema, type Scope } from "effect"
import { connect, createServer } from "node:net"
import { text } from "node:stream/consumers"

/**
 * The socket of a running agent, in its state folder: it answers how the agent is, and that it is there at all,
 * so that two agents never fight over one token on one machine.
 */

export const Status = Schema.Struct({
  state: Schema.Literals(["dialing", "connected", "waiting"]),
  /** Milliseconds since 1970. */
  since: Schema.Finite,
  detail: Schema.NullOr(Schema.String)
})
export type Status = typeof Status.Type

export class AlreadyRunning extends Schema.TaggedError<AlreadyRunning>()("AlreadyRunning", {
  folder: Schema.String
}) {
  override get message(): string {
    return `an agent is running already for ${this.folder}`
  }
}

const socketPath = (folder: string) =>
  Effect.map(Path.Path, (path) =>
    process.platform === "win32"
      ? `\\\\.\\pipe\\edge-relay-${folder.replaceAll(/[^a-zA-Z0-9]/g, "-")}`
      : path.join(folder, "agent.sock")
  )

/** What a running agent says; undefined where none runs. */
export const ask = Effect.fn("ControlSocket.ask")(function* (folder: string) {
  const path = yield* socketPath(folder)
  const answer = yield* Effect.callback<string | void>((resume) => {
    const socket = connect(path)
    socket.once("error", () => resume(Effect.void))
    socket.once("connect", () => resume(Effect.promise(() => text(socket))))
    return Effect.sync(() => socket.destroy())
  })
  return typeof answer !== "string"
    ? undefined
    : yield* Effect.option(Schema.decodeEffect(Schema.fromJsonString(Status))(answer))
})

/** Answers until the scope closes. The returned function sets what it answers. */
export const serve = Effect.fn("ControlSocket.serve")(function* (
  folder: string
): Effect.fn.Return<
  (status: Omit<Status, "since">) => Effect.Effect<void>,
  AlreadyRunning,
  FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* socketPath(folder)
  if ((yield* ask(folder)) !== undefined) return yield* new AlreadyRunning({ folder })
  // Left by an agent that was killed: nobody answers there.
  yield* Effect.ignore(fs.remove(path))
  const now = yield* Clock.currentTimeMillis
  const current = yield* Ref.make<Status>({ state: "dialing", since: now, detail: null })
  yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>, AlreadyRunning>((resume) => {
      const server = createServer((socket) => {
        socket.on("error", () => socket.destroy())
        socket.end(JSON.stringify(Ref.getUnsafe(current)))
      })
      server.once("error", () => resume(Effect.fail(new AlreadyRunning({ folder }))))
      server.listen(path, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  return (status) =>
    Effect.flatMap(Clock.currentTimeMillis, (since) => Ref.set(current, { ...status, since }))
})
