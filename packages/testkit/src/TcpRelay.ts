import { connect, createServer, type Server, type Socket } from "node:net"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"

/** A TCP relay that a test can make misbehave, as networks do. */
export class Relay {
  readonly #server: Server
  readonly #target: () => number
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  connections = 0
  /** Reads and forwards nothing more, and says nothing of it: a half-open connection. */
  isSilent = false
  /** How bytes go on; the default is at once and whole. */
  forward: (chunk: Buffer, to: Socket) => void = (chunk, to) => void to.write(chunk)

  constructor(target: () => number) {
    this.#target = target
    this.#server = createServer((client) => this.#relay(client))
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve))
  }

  get port(): number {
    // A server that listens on TCP has such an address.
    return (this.#server.address() as AddressInfo).port
  }

  /** Breaks every connection off, as a reboot in between would. */
  cut(): void {
    for (const [client, upstream] of this.#pairs) {
      client.resetAndDestroy()
      upstream.resetAndDestroy()
    }
  }

  /** Forgets connections that went silent, without telling either end. */
  close(): void {
    this.cut()
    this.#server.close()
  }

  #relay(client: Socket): void {
    this.connections++
    const upstream = connect({ port: this.#target(), host: "127.0.0.1", allowHalfOpen: true })
    const pair = [client, upstream] as const
    this.#pairs.add(pair)
    const join = (from: Socket, to: Socket) => {
      from.setNoDelay(true)
      from.on("data", (chunk: Buffer) => {
        if (!this.isSilent) this.forward(chunk, to)
      })
      from.on("end", () => {
        if (!this.isSilent) to.end()
      })
      from.on("error", () => undefined)
      from.on("close", () => {
        if (!this.isSilent) to.destroy()
        this.#pairs.delete(pair)
      })
    }
    join(client, upstream)
    join(upstream, client)
  }
}

export const startRelay = (target: () => number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const relay = new Relay(target)
      await relay.listen()
      return relay
    }),
    (relay) => Effect.sync(() => relay.close())
  )
