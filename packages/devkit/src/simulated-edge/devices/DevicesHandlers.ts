import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { DateTime, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Accelerators } from "./Accelerators.ts"
import { page } from "../Listing.ts"

export const DevicesHandlers = HttpApiBuilder.group(
  EdgeApi,
  "devices",
  Effect.fn(function* (handlers) {
    const accelerators = yield* Accelerators
    return handlers.handleAll({
      list: ({ query }) => Effect.flatMap(accelerators.list, (items) => page(items, query)),
      scan: Effect.fn(function* () {
        const { found, items } = yield* accelerators.scan
        return { scannedAt: yield* DateTime.now, found, items }
      }),
      get: ({ params }) => accelerators.describe(params.deviceId),
      connect: ({ params }) => accelerators.connect(params.deviceId),
      disconnect: ({ params }) => accelerators.disconnect(params.deviceId)
    })
  })
)
