import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { maxBodyBytes } from "@edge-relay/domain/api/Conventions"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Audited from "./Audited.ts"
import { Config } from "../Config.ts"
import { Traffic } from "@edge-relay/gateway/traffic/Traffic"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import packageJson from "../../package.json" with { type: "json" }

/** What a caller can run into. Streams: what a tunnel carries (1,024), less the agent's own. */
export const limits = {
  jsonBodyBytes: maxBodyBytes,
  streamsPerEdge: 1000,
  firstByteSeconds: 60,
  pageItems: 200
}

export const layer = HttpApiBuilder.group(
  CloudApi,
  "system",
  Effect.fnUntraced(function* (handlers) {
    const { tunnelUrl } = yield* Config
    const edges = yield* Edges
    const presence = yield* Presence
    const traffic = yield* Traffic

    return handlers.handleAll({
      info: () =>
        Effect.succeed({
          version: packageJson.version,
          node: process.version,
          tunnelUrl,
          limits
        }),

      stats: () =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          const online = presence.onlineOf(tenantId)
          return {
            edges: yield* edges.count(tenantId),
            online: online.length,
            streams: online.reduce((sum, { streams }) => sum + streams, 0),
            ...(yield* traffic.stats(tenantId))
          }
        }).pipe(Audited.orUnavailable)
    })
  })
)
