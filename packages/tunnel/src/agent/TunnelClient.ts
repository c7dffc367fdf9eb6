import type { LookupFunction } from "node:net"
import { Clock, Effect, Random, type Redacted, Schema, Stream } from "effect"
import { AgentTunnel } from "./AgentTunnel.ts"
import { LocalFailures } from "./LocalFailures.ts"
import type { ServiceTarget } from "./LocalConnection.ts"
import type { Services } from "./LocalService.ts"
import { OpenStreams } from "./OpenStreams.ts"
import { outboundProxy, type ProxyEnvironment } from "./OutboundProxy.ts"
import { defaultReconnect, type Ending, Reconnect, type ReconnectOptions } from "./Reconnect.ts"
import { StrayData } from "../proxy/StrayData.ts"
import { tunnelUrl } from "./TunnelProbe.ts"
import type { Hello, OfferedServices, ProtocolVersion } from "@edge-relay/protocol/TunnelProtocol"

/**
 * Keeps an edge connected to the cloud: dials, serves the edge's services through the tunnel, and dials again
 * when the tunnel ends, for as long as the token is good. Each try resolves the name and picks the proxy anew.
 */

export interface TunnelClientOptions {
  /** `wss://tunnel.example.com`; the tunnel's path is added where it is not there. */
  readonly url: string
  readonly token: Redacted.Redacted<string>
  readonly services: Services
  /** What the edge offers from then on. Streams to services that are gone, or others now, may go on for `drainMillis`. */
  readonly changes?: Stream.Stream<Services>
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
  /** How long open streams may go on where no new ones are taken: when it is interrupted, or a service is gone. */
  readonly drainMillis?: number
  readonly onStatus?: (status: TunnelStatus) => Effect.Effect<void>
}

export type TunnelStatus =
  | { readonly _tag: "dialing" }
  | { readonly _tag: "connected"; readonly protocol: ProtocolVersion }
  /** `ending` is why it is not connected. */
  | { readonly _tag: "waiting"; readonly ending: Ending; readonly millis: number }
  /** It was interrupted, and so many streams are open. */
  | { readonly _tag: "draining"; readonly streams: number }

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
  drainMillis: 0,
  changes: Stream.empty,
  onStatus: () => Effect.void
}

/** Ends only when the token is revoked, or by interruption, which drains the tunnel and closes it in good order. */
export const run = Effect.fn("TunnelClient.run")(function* (
  given: TunnelClientOptions
): Effect.fn.Return<never, TunnelRevoked> {
  const options = { ...defaults, ...given }
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const reconnect = new Reconnect(options.reconnect, () => random.nextDoubleUnsafe())
  const url = tunnelUrl(options.url)
  const instanceId = Array.from({ length: 2 }, () => random.nextDoubleUnsafe().toString(36).slice(2)).join("")
  /** The current one, and those whose last streams are finishing. */
  const tunnels = new Set<AgentTunnel>()
  const open = new OpenStreams()
  let onEmpty = () => {}
  let services = options.services

  const dial = Effect.callback<Ending, never>((resume) => {
    const older = Array.from(tunnels)
    const tunnel = new AgentTunnel({
      url,
      token: options.token,
      get services() {
        return services
      },
      get hello() {
        return { instanceId, ...options.hello, requestIds: true, services: Array.from(services, offered) }
      },
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
      onStream: (service, stream) => open.add(service, stream),
      onRefused: (service, target, error, requestId) => failures.add(service, target, error, requestId),
      onEnding: (ending) => resume(Effect.succeed(ending)),
      onClosed: () => {
        tunnels.delete(tunnel)
        if (tunnels.size === 0) onEmpty()
      }
    })
    tunnels.add(tunnel)
  })

  const context = yield* Effect.context()
  const logging = {
    now: () => clock.currentTimeMillisUnsafe(),
    run: (log: Effect.Effect<void>) => void Effect.runForkWith(context)(log)
  }
  const stray = new StrayData(logging)
  const failures = new LocalFailures(logging)
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
  const change = (given: Services) =>
    Effect.sync(() => {
      const breakOff = open.takeStale(services, given)
      services = given
      for (const tunnel of tunnels) tunnel.announce()
      return breakOff
    }).pipe(
      // Kept-alive connections would lead to the former local server for as long as they are used.
      Effect.flatMap((breakOff) =>
        Effect.forkChild(Effect.andThen(Effect.sleep(options.drainMillis), Effect.sync(breakOff)))
      )
    )
  const empty = Effect.callback<void>((resume) => {
    onEmpty = () => resume(Effect.void)
    for (const tunnel of Array.from(tunnels)) tunnel.retire()
    if (tunnels.size === 0) onEmpty()
  })
  const drain = Effect.gen(function* () {
    const streams = Array.from(tunnels).reduce((sum, tunnel) => sum + tunnel.streams, 0)
    if (streams === 0 || options.drainMillis === 0) return
    yield* options.onStatus({ _tag: "draining", streams })
    yield* Effect.timeoutOption(empty, options.drainMillis)
  })
  const closeAll = Effect.promise(() => Promise.all(Array.from(tunnels, (tunnel) => tunnel.close())))
  return yield* Effect.raceFirst(
    loop,
    Effect.andThen(Stream.runForEach(options.changes, change), Effect.never)
  ).pipe(Effect.ensuring(Effect.andThen(drain, Effect.timeoutOption(closeAll, CLOSE_MILLIS))))
})

/** For the cloud to answer our close; a dead connection is not waited for. */
const CLOSE_MILLIS = 1_000

const offered = ([name, target]: readonly [string, ServiceTarget]): OfferedServices[number] =>
  "local" in target && target.local !== undefined ? { name, local: target.local } : { name }
