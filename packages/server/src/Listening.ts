import { Effect, Schema } from "effect"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"

/** Another program listens there, or we may not. Exit status 78. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  host: Schema.String,
  port: Schema.Int,
  variable: Schema.String,
  code: Schema.String
}) {
  override get message(): string {
    const why = this.code === "EADDRINUSE" ? "is taken" : `cannot be listened on (${this.code})`
    return `port ${this.port} on ${this.host} ${why}: set ${this.variable} to another one`
  }
}

/** Listens, or says which variable to change. Answers the port, which differs where 0 was asked for. */
export const listen = (server: Server, host: string, port: number, variable: string) =>
  Effect.callback<number, CannotListen>((resume) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(new CannotListen({ host, port, variable, code: error.code ?? "unknown" })))
    )
    server.listen({ host, port }, () => {
      // Of a TCP port, hence never a path.
      resume(Effect.succeed((server.address() as AddressInfo).port))
    })
  })

/** Ends when the last connection has, or time is up. Kept-alive ones are closed as they become idle. */
export const drain = (server: Server, seconds: number) =>
  Effect.callback<void>((resume) => {
    const began = performance.now()
    const timer = setInterval(() => {
      server.closeIdleConnections()
      if (performance.now() - began >= seconds * 1000) {
        server.closeAllConnections()
        finish()
      }
    }, idleMillis)
    const finish = () => {
      clearInterval(timer)
      resume(Effect.void)
    }
    server.close(finish)
  })

const idleMillis = 50

/** As `listen`, until the scope closes; then whatever is connected is cut off. */
export const listenScoped = (server: Server, host: string, port: number, variable: string) =>
  Effect.acquireRelease(listen(server, host, port, variable), () =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
  )
