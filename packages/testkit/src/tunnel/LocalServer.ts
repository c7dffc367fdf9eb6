import { type AddressInfo, createServer, type Socket } from "node:net"
import { Effect } from "effect"

/** A TCP server on a free port, as an edge's local service is one. */
export const startLocal = (onConnection: (socket: Socket) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const sockets = new Set<Socket>()
        const server = createServer({ allowHalfOpen: true }, (socket) => {
          sockets.add(socket)
          socket.on("close", () => sockets.delete(socket))
          socket.on("error", () => undefined)
          onConnection(socket)
        })
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        return { server, sockets }
      }),
      ({ server, sockets }) =>
        Effect.sync(() => {
          for (const socket of sockets) socket.destroy()
          server.close()
        })
    ),
    // A server that listens on TCP has such an address.
    ({ server, sockets }) => ({ port: (server.address() as AddressInfo).port, sockets, server })
  )

/** Says back what it is told, to the end. */
export const echo = (socket: Socket): void => void socket.pipe(socket)

/** A port that nothing listens on. */
export const closedPort = Effect.scoped(Effect.map(startLocal(echo), ({ port }) => port))
