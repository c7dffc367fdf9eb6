import { reset, splice } from "@edge-relay/tunnel/Splice"
import { Effect, FileSystem, Schema } from "effect"
import { createServer, type Server, type Socket } from "node:net"
import type { CloudAccess } from "./CloudAccess.ts"
import * as PatientStream from "./PatientStream.ts"

/** Listens on this machine, and joins each connection to a stream to a service of an edge. */

export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  address: Schema.String,
  code: Schema.String
}) {
  override get message(): string {
    return `cannot listen on ${this.address} (${this.code})`
  }
}

export interface ListenAddress {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
}

/** Answers the port, once it listens, and goes on until its scope closes. */
export const listen = Effect.fnUntraced(function* (
  access: CloudAccess,
  to: { readonly edgeId: string; readonly service: string },
  { host, port }: ListenAddress
) {
  const scope = yield* Effect.scope
  const fork = Effect.runForkWith(yield* Effect.context<FileSystem.FileSystem>())
  const sockets = new Set<Socket>()

  const serve = (socket: Socket): void => {
    sockets.add(socket)
    socket.on("error", () => undefined)
    socket.once("close", () => sockets.delete(socket))
    const opening = fork(
      PatientStream.open(access, to).pipe(
        Effect.tap((stream) =>
          Effect.sync(() => (socket.destroyed ? stream.destroy() : splice(socket, stream)))
        ),
        Effect.tapError((error) => Effect.logWarning(error.message)),
        Effect.onError(() => Effect.sync(() => reset(socket))),
        Effect.forkIn(scope)
      )
    )
    socket.once("close", () => opening.interruptUnsafe())
  }

  // Paused until it is joined; what its client sends meanwhile waits in the kernel.
  const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true }
  const server = yield* Effect.acquireRelease(
    listening(createServer(options, serve), { host, port }),
    (server) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) reset(socket)
      })
  )
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : port
})

const listening = (server: Server, { host, port }: ListenAddress): Effect.Effect<Server, CannotListen> =>
  Effect.callback((resume) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(new CannotListen({ address: `${host}:${port}`, code: error.code ?? error.message })))
    )
    server.listen({ host, port, backlog: 1024 }, () => resume(Effect.succeed(server)))
  })
