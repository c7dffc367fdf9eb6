import { monitorEventLoopDelay } from "node:perf_hooks"
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import type { TunnelTotals } from "@edge-relay/tunnel/LiveTunnels"
import * as TunnelMetrics from "@edge-relay/tunnel/TunnelMetrics"

/** What a proxy shows of itself, in Prometheus' text format. Gauges are read when they are asked for. */

const eventLoopDelay = Metric.gauge("event_loop_delay_seconds", {
  description: "99th percentile of the event loop's delay since the last scrape"
})
const residentBytes = Metric.gauge("process_resident_memory_bytes", { description: "Resident memory" })

/** Keeps watch of the event loop for the scope's life; `scrape` is what a scrape is answered. */
export const make = Effect.fnUntraced(function* (totals: Effect.Effect<TunnelTotals>) {
  const delay = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const monitor = monitorEventLoopDelay({ resolution: 10 })
      monitor.enable()
      return monitor
    }),
    (monitor) => Effect.sync(() => monitor.disable())
  )
  // So that they are shown before anything has happened to them.
  yield* Metric.update(TunnelMetrics.displaced, 0)
  yield* Metric.value(TunnelMetrics.roundTripSeconds)
  const scrape = Effect.gen(function* () {
    const { sessions, streams, bytesIn, bytesOut } = yield* totals
    yield* Metric.update(TunnelMetrics.sessions, sessions)
    yield* Metric.update(TunnelMetrics.streams, streams)
    yield* raise(TunnelMetrics.bytesIn, bytesIn)
    yield* raise(TunnelMetrics.bytesOut, bytesOut)
    // The monitor's own resolution is in what it measures, in nanoseconds.
    yield* Metric.update(eventLoopDelay, Math.max(0, delay.percentile(99) / 1e9 - 0.01))
    delay.reset()
    yield* Metric.update(residentBytes, process.memoryUsage.rss())
    return yield* PrometheusMetrics.format()
  })
  return { scrape }
})

/** Brings a counter up to a total that is counted elsewhere. */
const raise = Effect.fnUntraced(function* (counter: Metric.Counter<number>, total: number) {
  const { count } = yield* Metric.value(counter)
  yield* Metric.update(counter, Math.max(0, total - count))
})
