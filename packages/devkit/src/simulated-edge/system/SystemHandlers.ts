import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { DateTime, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Machine } from "./Machine.ts"

export const SystemHandlers = HttpApiBuilder.group(
  EdgeApi,
  "edgeSystem",
  Effect.fn(function* (handlers) {
    const machine = yield* Machine
    return handlers.handleAll({
      info: () => machine.info,
      metrics: () => machine.metrics,
      restart: Effect.fn(function* () {
        const requestedAt = yield* DateTime.now
        yield* machine.restart
        return { requestedAt, downSeconds: 0 }
      })
    })
  })
)
