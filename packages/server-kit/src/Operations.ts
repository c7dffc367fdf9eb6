import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import * as ProcessMetrics from "./ProcessMetrics.ts"
import { Readiness } from "./Readiness.ts"
import type { Route } from "./Routes.ts"

/** What whoever runs a server asks its internal port for, without a key: is it alive, is it ready, its metrics. */

export const routes: ReadonlyArray<Route> = ["/healthz", "/readyz", "/metrics"].map((path) => ({
  method: "GET",
  path
}))

/** Of all servers in this process: its metrics are one set, which each of its internal ports shows whole. */
class Samples extends Context.Service<Samples, Set<Effect.Effect<void>>>()(
  "@edge-relay/server-kit/Operations/Samples"
) {
  static readonly layer = Layer.sync(Samples, () => new Set<Effect.Effect<void>>())
}

/** `sample` brings the server's own metrics up to date before a scrape; those of the process are sampled here. */
export const layer = (
  sample: Effect.Effect<void>
): Layer.Layer<never, never, HttpRouter.HttpRouter | Readiness> =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const readiness = yield* Readiness
      const processMetrics = yield* ProcessMetrics.make
      const samples = yield* Samples
      samples.add(sample)
      yield* router.add("GET", "/healthz", HttpServerResponse.jsonUnsafe({ status: "ok" }, fresh))
      yield* router.add("GET", "/readyz", ready(readiness))
      yield* router.add(
        "GET",
        "/metrics",
        Effect.gen(function* () {
          for (const one of samples) yield* one
          yield* processMetrics.sample
          return HttpServerResponse.text(yield* PrometheusMetrics.format(), {
            ...fresh,
            contentType: "text/plain; version=0.0.4; charset=utf-8"
          })
        })
      )
    })
  ).pipe(Layer.provide(Samples.layer))

/** 200, also where it is degraded, or 503 with what is missing. */
export const ready = (
  readiness: Readiness["Service"]
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(readiness.lacks, (lacks) => {
    const status = lacks.missing.length > 0 ? "not_ready" : lacks.degraded.length > 0 ? "degraded" : "ready"
    return HttpServerResponse.jsonUnsafe(
      { status, ...lacks },
      { ...fresh, status: status === "not_ready" ? 503 : 200 }
    )
  })

const fresh = { headers: { "cache-control": "no-store" } }
