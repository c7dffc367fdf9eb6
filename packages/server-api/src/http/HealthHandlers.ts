import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { ready } from "@edge-relay/server-kit/Operations"
import { Readiness } from "@edge-relay/server-kit/Readiness"

export const layer = HttpApiBuilder.group(
  CloudApi,
  "health",
  Effect.fnUntraced(function* (handlers) {
    const readiness = yield* Readiness
    return handlers.handleAll({ alive: () => Effect.succeed(alive), ready: () => ready(readiness) })
  })
)

const alive = { status: "ok" } as const
