import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect, Schema } from "effect"

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

export interface Listening {
  readonly host: string
  readonly port: number
  /** That says which port. */
  readonly variable: string
}

/** Listens for as long as the scope lasts; answers the port, which differs where 0 was asked for. */
export const listen = (server: Server, { host, port, variable }: Listening) =>
  Effect.acquireRelease(
    Effect.callback<number, CannotListen>((resume) => {
      server.once("error", (error: NodeJS.ErrnoException) =>
        resume(Effect.fail(new CannotListen({ host, port, variable, code: error.code ?? "unknown" })))
      )
      // Of a TCP port, hence never a path.
      server.listen({ host, port }, () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    }),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
