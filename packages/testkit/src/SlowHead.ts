import { Effect } from "effect"
import { connect } from "node:net"

/** Begins a request, and never ends its head: what was answered until the connection was closed, 10 s at most. */
export const slowHead = (port: number): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write("GET / HTTP/1.1\r\nHost: a\r\nX"))
    let received = ""
    socket.on("data", (part) => (received += part.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(received)))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeout("10 seconds"), Effect.orDie)
