import { ClusterEvent } from "@edge-relay/domain/edge-api/Clusters"
import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Clusters } from "./Clusters.ts"
import { eventStream } from "../EventStream.ts"
import { page } from "../Listing.ts"

export const ClustersHandlers = HttpApiBuilder.group(
  EdgeApi,
  "clusters",
  Effect.fn(function* (handlers) {
    const clusters = yield* Clusters
    return handlers.handleAll({
      list: ({ query }) => Effect.flatMap(clusters.list, (items) => page(items, query)),
      create: ({ payload }) => clusters.create(payload),
      get: ({ params }) => clusters.get(params.clusterId),
      update: ({ params, payload }) => clusters.change(params.clusterId, payload),
      remove: ({ params }) => clusters.remove(params.clusterId),
      start: ({ params }) => clusters.start(params.clusterId),
      stop: ({ params }) => clusters.stop(params.clusterId),
      events: Effect.fn(function* ({ params }) {
        return eventStream(ClusterEvent, yield* clusters.messages(params.clusterId))
      })
    })
  })
)
