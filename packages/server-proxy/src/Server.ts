import { createServer } from "node:http"
import { Context, Effect, Layer } from "effect"
import { SessionStore } from "@edge-relay/domain/tunnels/SessionStore"
import * as Tracing from "@edge-relay/server-kit/Tracing"
import { TunnelServer } from "@edge-relay/tunnel/proxy/TunnelServer"
import { ClientAddress } from "@edge-relay/server-kit/ClientAddress"
import { Config } from "./Config.ts"
import * as ContentionAudit from "./ContentionAudit.ts"
import { InternalServer } from "./InternalServer.ts"
import { headCheckMillis, listenScoped } from "@edge-relay/server-kit/Listening"
import * as Revocations from "./Revocations.ts"

/** Where a proxy listens, once it does. */
export class ProxyServer extends Context.Service<
  ProxyServer,
  { readonly tunnelPort: number; readonly internalPort: number }
>()("@edge-relay/server-proxy/ProxyServer") {}

const layerTunnels = Layer.unwrap(
  Effect.gen(function* () {
    const config = yield* Config
    const server = createServer({
      headersTimeout: config.handshakeMillis,
      requestTimeout: config.handshakeMillis,
      // Below what one handshake may take, so that a slow head ends before its handshake would.
      connectionsCheckingInterval: Math.min(headCheckMillis, config.handshakeMillis),
      keepAliveTimeout: 1_000
    })
    const address = yield* ClientAddress
    const tunnels = TunnelServer.layer({
      server,
      proxyId: config.proxyId,
      addressOf: ({ headers, socket }) => address.of(socket.remoteAddress, headers),
      acceptQueryToken: config.acceptQueryToken,
      maxSessions: config.maxSessions,
      maxStreams: config.maxStreams,
      handshakeMillis: config.handshakeMillis,
      heartbeatMillis: config.heartbeatMillis,
      silenceMillis: config.silenceMillis,
      graceMillis: config.drainMillis
    })
    const port = Layer.effect(
      TunnelPort,
      listenScoped(server, config.tunnelHost, config.tunnelPort, "TUNNEL_PORT")
    )
    return port.pipe(Layer.provideMerge(tunnels))
  })
).pipe(
  Layer.provide(
    Layer.unwrap(
      Effect.map(Config, ({ forwardedHeader, trustedProxies }) =>
        ClientAddress.layer({ trusted: trustedProxies, header: forwardedHeader })
      )
    )
  )
)

class TunnelPort extends Context.Service<TunnelPort, number>()("@edge-relay/server-proxy/TunnelPort") {}

/**
 * The proxy, open: whoever closes it says where tokens are kept and which proxies there are. It is the last to be
 * built, hence the first to go: it drains while all that it needs still stands. Its tunnels and their store are there
 * for what else runs in the process.
 */
export const layer = Layer.effect(
  ProxyServer,
  Effect.gen(function* () {
    const tunnels = yield* TunnelServer
    const tunnelPort = yield* TunnelPort
    const { port: internalPort } = yield* InternalServer
    const { proxyId } = yield* Config
    yield* Effect.logInfo("the proxy is up").pipe(Effect.annotateLogs({ proxyId, tunnelPort, internalPort }))
    yield* Effect.addFinalizer(() => tunnels.drain)
    return { tunnelPort, internalPort }
  })
).pipe(
  Layer.provide(Layer.mergeAll(InternalServer.layer, Revocations.layer, ContentionAudit.layer)),
  Layer.provideMerge(layerTunnels),
  Layer.provideMerge(SessionStore.layer),
  Layer.provide(Layer.unwrap(Effect.map(Config, ({ tracing }) => Tracing.layer(tracing))))
)
