import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import type { TunnelTotals } from "@edge-relay/tunnel/proxy/LiveTunnels"
import * as ProcessMetrics from "@edge-relay/server-kit/ProcessMetrics"
import * as TunnelMetrics from "@edge-relay/tunnel/proxy/TunnelMetrics"

/** What a proxy shows of itself, in Prometheus' text format. Gauges are read when they are asked for. */

/** Keeps watch of the event loop for the scope's life; `scrape` is what a scrape is answered. */
export const make = Effect.fnUntraced(function* (totals: Effect.Effect<TunnelTotals>) {
  const processMetrics = yield* ProcessMetrics.make
  // So that they are shown before anything has happened to them.
  yield* Metric.update(TunnelMetrics.displaced, 0)
  yield* Metric.value(TunnelMetrics.roundTripSeconds)
  const scrape = Effect.gen(function* () {
    const { sessions, streams, bytesIn, bytesOut } = yield* totals
    yield* Metric.update(TunnelMetrics.sessions, sessions)
    yield* Metric.update(TunnelMetrics.streams, streams)
    yield* ProcessMetrics.raise(TunnelMetrics.bytesIn, bytesIn)
    yield* ProcessMetrics.raise(TunnelMetrics.bytesOut, bytesOut)
    yield* processMetrics.sample
    return yield* PrometheusMetrics.format()
  })
  return { scrape }
})
