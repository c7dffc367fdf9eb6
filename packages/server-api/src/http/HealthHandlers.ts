import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Readiness } from "../Readiness.ts"

export const layer = HttpApiBuilder.group(
  CloudApi,
  "health",
  Effect.fnUntraced(function* (handlers) {
    const readiness = yield* Readiness
    return handlers.handleAll({ alive: () => Effect.succeed(alive), ready: () => ready(readiness) })
  })
)

const alive = { status: "ok" } as const

/** 200 or 503: the same body of two meanings, hence made here and not by the contract's encoder. */
export const ready = (readiness: Readiness["Service"]) =>
  Effect.map(readiness.missing, (missing) =>
    HttpServerResponse.jsonUnsafe(
      { status: missing.length === 0 ? "ready" : "not_ready", missing },
      { status: missing.length === 0 ? 200 : 503, headers: { "cache-control": "no-store" } }
    )
  )
