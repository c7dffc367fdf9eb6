import { Effect, Schema } from "effect"
import type { Server, ServerOptions } from "node:http"
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

/** How often late heads are looked for: one ends a second after its time at most. Node's own default is 30 s. */
export const headCheckMillis = 1_000

/** Of a port for programs beside us, which send a head at once. */
export const internalServerOptions: ServerOptions = {
  headersTimeout: 5_000,
  connectionsCheckingInterval: headCheckMillis
}

/** What comes while so many connections are open is closed at once; the log says so, once a minute. */
export const limitConnections = Effect.fnUntraced(function* (server: Server, most: number) {
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  let saidAt = Number.NEGATIVE_INFINITY
  server.maxConnections = most
  server.on("drop", (dropped) => {
    if (performance.now() - saidAt < dropLogMillis) return
    saidAt = performance.now()
    fork(
      Effect.logWarning("connections are refused: as many are open as may be").pipe(
        Effect.annotateLogs({ port: dropped?.localPort, most })
      )
    )
  })
})

const dropLogMillis = 60_000

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
