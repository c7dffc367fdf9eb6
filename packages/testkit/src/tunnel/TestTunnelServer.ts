import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { Context, Effect, Layer, Logger } from "effect"
import { SessionStore } from "@edge-relay/domain/tunnels/SessionStore"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { TunnelServer, type TunnelServerOptions } from "@edge-relay/tunnel/proxy/TunnelServer"
import { TestTokens } from "../TestTokens.ts"

export interface TestProxy {
  readonly url: string
  readonly port: number
  readonly http: Server
  readonly tunnels: TunnelServer["Service"]
  readonly store: SessionStore["Service"]
  readonly tokens: TestTokens
}

/** A tunnel server on a free port, for the scope's life. */
export const startProxy = Effect.fnUntraced(function* (
  options: Partial<TunnelServerOptions> = {},
  directory: Layer.Layer<SessionDirectory> = SessionDirectory.layerMemory("http://127.0.0.1:1"),
  store: Layer.Layer<SessionStore> = SessionStore.layer
) {
  const http = createServer({ connectionsCheckingInterval: 100, headersTimeout: 500 })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.sync(() => {
        http.closeAllConnections()
        http.close()
      })
  )
  const tokens = new TestTokens()
  const services = yield* Layer.build(
    TunnelServer.layer({
      server: http,
      proxyId: "proxy-1",
      addressOf: (request) => request.socket.remoteAddress ?? "unknown",
      ...options
    }).pipe(
      Layer.provideMerge(store),
      Layer.provide(directory),
      Layer.provide(tokens.layer),
      // What goes wrong here is meant to.
      Layer.provide(Logger.layer([]))
    )
  )
  // A server that listens on TCP has such an address.
  const { port } = http.address() as AddressInfo
  return {
    url: `ws://127.0.0.1:${port}`,
    port,
    http,
    tokens,
    tunnels: Context.get(services, TunnelServer),
    store: Context.get(services, SessionStore)
  } satisfies TestProxy
})
