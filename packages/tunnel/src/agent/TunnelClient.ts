import type { LookupFunction } from "node:net"
import { Clock, Effect, Random, type Redacted, Schema } from "effect"
import { AgentTunnel } from "./AgentTunnel.ts"
import type { Services } from "./LocalService.ts"
import { outboundProxy, type ProxyEnvironment } from "./OutboundProxy.ts"
import { defaultReconnect, type Ending, Reconnect, type ReconnectOptions } from "./Reconnect.ts"
import { StrayData } from "../proxy/StrayData.ts"
import { type Hello, type ProtocolVersion, TUNNEL_PATH } from "@edge-relay/protocol/TunnelProtocol"

/**
 * Keeps an edge connected to the cloud: dials, serves the edge's services through the tunnel, and dials again
 * when the tunnel ends, for as long as the token is good. Each try resolves the name and picks the proxy anew.
 */

export interface TunnelClientOptions {
  /** `wss://tunnel.example.com`; the tunnel's path is added where it is not there. */
  readonly url: string
  readonly token: Redacted.Redacted<string>
  readonly services: Services
  readonly hello?: Omit<Hello, "type" | "services">
  /** PEM of the certificate authorities to trust, in place of the system's. */
  readonly ca?: ReadonlyArray<string>
  /** Where `HTTPS_PROXY` and `NO_PROXY` are looked up. */
  readonly environment?: ProxyEnvironment
  readonly lookup?: LookupFunction
  readonly reconnect?: ReconnectOptions
  readonly handshakeMillis?: number
  readonly connectTimeoutMillis?: number
  readonly silenceMillis?: number
  readonly onStatus?: (status: TunnelStatus) => Effect.Effect<void>
}

export type TunnelStatus =
  | { readonly _tag: "dialing" }
  | { readonly _tag: "connected"; readonly protocol: ProtocolVersion }
  /** `ending` is why it is not connected. */
  | { readonly _tag: "waiting"; readonly ending: Ending; readonly millis: number }

/** The cloud knows the token no longer, or never did: this edge has to be paired again. */
export class TunnelRevoked extends Schema.TaggedError<TunnelRevoked>()("TunnelRevoked", {}) {
  override get message(): string {
    return "the cloud has revoked this edge's token"
  }
}

const defaults = {
  hello: {},
  environment: {},
  reconnect: defaultReconnect,
  handshakeMillis: 20_000,
  connectTimeoutMillis: 10_000,
  silenceMillis: 45_000,
  onStatus: () => Effect.void
}

/** Ends only when the token is revoked, or by interruption, which closes the tunnel in good order. */
export const run = Effect.fn("TunnelClient.run")(function* (
  given: TunnelClientOptions
): Effect.fn.Return<never, TunnelRevoked> {
  const options = { ...defaults, ...given }
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const reconnect = new Reconnect(options.reconnect, () => random.nextDoubleUnsafe())
  const url = tunnelUrl(options.url)
  /** The current one, and those whose last streams are finishing. */
  const tunnels = new Set<AgentTunnel>()

  const dial = Effect.callback<Ending, never>((resume) => {
    const older = Array.from(tunnels)
    const tunnel = new AgentTunnel({
      url,
      token: options.token,
      services: options.services,
      hello: { ...options.hello, services: Array.from(options.services.keys(), (name) => ({ name })) },
      ca: options.ca,
      httpAgent: outboundProxy(url, options.environment),
      lookup: options.lookup,
      handshakeMillis: options.handshakeMillis,
      connectTimeoutMillis: options.connectTimeoutMillis,
      silenceMillis: options.silenceMillis,
      now: () => clock.currentTimeMillisUnsafe(),
      onConnected: (protocol) => {
        for (const other of older) other.retire()
        report({ _tag: "connected", protocol })
      },
      onStrayData: (streamId, bytes) => stray.add({ streamId, bytes }),
      onEnding: (ending) => resume(Effect.succeed(ending)),
      onClosed: () => tunnels.delete(tunnel)
    })
    tunnels.add(tunnel)
  })

  const context = yield* Effect.context()
  const stray = new StrayData({
    now: () => clock.currentTimeMillisUnsafe(),
    run: (log) => Effect.runForkWith(context)(log)
  })
  const report = (status: TunnelStatus) => Effect.runForkWith(context)(options.onStatus(status))

  const loop: Effect.Effect<never, TunnelRevoked> = Effect.gen(function* () {
    while (true) {
      yield* options.onStatus({ _tag: "dialing" })
      const ending = yield* dial
      const next = reconnect.next(ending)
      if (next._tag === "stop") return yield* new TunnelRevoked()
      yield* options.onStatus({ _tag: "waiting", ending, millis: next.millis })
      yield* Effect.sleep(next.millis)
    }
  })
  const closeAll = Effect.promise(() => Promise.all(Array.from(tunnels, (tunnel) => tunnel.close())))
  return yield* Effect.ensuring(loop, Effect.timeoutOption(closeAll, CLOSE_MILLIS))
})

/** For the cloud to answer our close; a dead connection is not waited for. */
const CLOSE_MILLIS = 1_000

const tunnelUrl = (base: string): URL => {
  const url = new URL(base)
  if (!url.pathname.endsWith(TUNNEL_PATH)) url.pathname = url.pathname.replace(/\/+$/, "") + TUNNEL_PATH
  return url
}
