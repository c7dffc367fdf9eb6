import { Context, Effect, Layer, Logger, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { SessionStore } from "@edge-relay/domain/tunnels/SessionStore"
import { Config, type Settings } from "@edge-relay/server-proxy/Config"
import { Readiness } from "@edge-relay/server-kit/Readiness"
import * as Server from "@edge-relay/server-proxy/Server"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"
import { TestTokens } from "../TestTokens.ts"

export const internalKey = "a-key-that-is-long-enough-for-the-internal-port"

export const settings: Settings = {
  tunnelHost: "127.0.0.1",
  tunnelPort: 0,
  internalHost: "127.0.0.1",
  internalPort: 0,
  proxyInternalUrl: "http://127.0.0.1:1",
  internalKey: Redacted.make(internalKey),
  databaseUrl: Redacted.make("sqlite:unused"),
  redisUrl: undefined,
  redisPrefix: "edge-relay",
  acceptQueryToken: true,
  trustedProxies: [],
  forwardedHeader: "x-forwarded-for",
  maxSessions: 100,
  maxStreams: 100,
  heartbeatMillis: 15_000,
  silenceMillis: 45_000,
  handshakeMillis: 10_000,
  drainMillis: 0,
  proxyId: "proxy-1",
  logLevel: "Error",
  logFormat: "json",
  tracing: { endpoint: undefined, serviceName: "edge-relay-proxy" }
}

/** The proxy's own layers, closed with memory; what a test does to `tokens` and `database` shows at once. */
export const startServer = Effect.fnUntraced(function* (changes: Partial<Settings> = {}) {
  const tokens = new TestTokens()
  const database = { isAway: false }
  const ready = Effect.suspend(() =>
    database.isAway ? Effect.fail({ reason: "does not answer" }) : Effect.void
  )
  const services = yield* Layer.build(
    Server.layer.pipe(
      Layer.provideMerge(Layer.mergeAll(EdgeEvents.layerMemory, AuditLog.layerMemory)),
      Layer.provide(
        Layer.mergeAll(
          tokens.layer,
          SecureRandom.layerWebCrypto,
          SessionDirectory.layerMemory("http://127.0.0.1:1"),
          layerReadiness(ready),
          Layer.succeed(Config, { ...settings, ...changes }),
          // What goes wrong here is meant to.
          Logger.layer([])
        )
      )
    )
  )
  const { internalPort, tunnelPort } = Context.get(services, Server.ProxyServer)
  const internalUrl = `http://127.0.0.1:${internalPort}`
  const dialer = yield* dialerTo(internalUrl)
  return {
    tunnelUrl: `ws://127.0.0.1:${tunnelPort}`,
    tunnelPort,
    internalUrl,
    internalPort,
    tokens,
    database,
    dialer,
    store: Context.get(services, SessionStore),
    events: Context.get(services, EdgeEvents),
    audit: Context.get(services, AuditLog)
  }
})

const layerReadiness = (ready: Effect.Effect<void, { readonly reason: string }>) =>
  Layer.effectDiscard(Effect.flatMap(Readiness, ({ require }) => require("database", ready))).pipe(
    Layer.provideMerge(Readiness.layer)
  )

/** As the api dials: over the internal port. */
export const dialerTo = (internalUrl: string, key: string = internalKey) =>
  Effect.map(
    Layer.build(
      TunnelDialer.layerRemote({ internalKey: Redacted.make(key), timeoutMillis: 5_000 }).pipe(
        Layer.provide(SessionDirectory.layerMemory(internalUrl))
      )
    ),
    (services) => Context.get(services, TunnelDialer)
  )

export const ask = (url: string, options: RequestInit = {}) =>
  Effect.promise(() =>
    fetch(url, { ...options, headers: { Authorization: `Bearer ${internalKey}`, ...options.headers } })
  )

export const askJson = (url: string, options: RequestInit = {}) =>
  Effect.flatMap(ask(url, options), (response) =>
    Effect.promise(async () => ({ status: response.status, body: await response.json() }))
  )
