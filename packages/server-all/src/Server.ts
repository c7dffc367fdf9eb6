import * as PresenceLocal from "@edge-relay/server-api/presence/PresenceLocal"
import * as ApiServer from "@edge-relay/server-api/Server"
import * as ProxyServer from "@edge-relay/server-proxy/Server"
import { TunnelServer } from "@edge-relay/tunnel/proxy/TunnelServer"
import { Layer } from "effect"

/**
 * Both servers in one process, open as each of them is. The api reaches tunnels where they are, without a link: a
 * stream of the gateway is the tunnel's own, with one window and no copy between the two. The api is built last,
 * hence the first to drain, while the tunnels that its requests need still stand.
 */
export const layer = ApiServer.layer.pipe(
  Layer.provide(Layer.mergeAll(TunnelServer.layerDialer, PresenceLocal.layer)),
  Layer.provideMerge(ProxyServer.layer)
)
