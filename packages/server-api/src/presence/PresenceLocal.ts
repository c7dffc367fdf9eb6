import { Presence } from "@edge-relay/domain/tunnels/Presence"
import { SessionStore } from "@edge-relay/domain/tunnels/SessionStore"
import type { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { TunnelServer } from "@edge-relay/tunnel/proxy/TunnelServer"
import { Effect, Layer } from "effect"
import * as FollowedProxies from "./FollowedProxies.ts"
import type { PresenceClient } from "./PresenceClient.ts"

/** The tunnels of the proxy in this very process, asked without a connection. */
export const layer: Layer.Layer<Presence, never, TunnelServer | SessionStore | SessionDirectory> =
  Layer.effect(
    Presence,
    Effect.gen(function* () {
      const tunnels = yield* TunnelServer
      const store = yield* SessionStore
      const client: PresenceClient = {
        events: tunnels.events,
        list: store.list,
        get: (edgeId) =>
          Effect.map(Effect.flatMap(store.lookupEdge(edgeId), Effect.fromOption), (handle) =>
            handle.summary()
          ),
        close: (edgeId, reason) => tunnels.close((token) => token.edgeId === edgeId, reason),
        isAlive: Effect.void
      }
      return yield* FollowedProxies.make({ connect: () => Effect.succeed(client) })
    })
  )
