import { monitorEventLoopDelay } from "node:perf_hooks"
import { Effect, Metric, type Scope } from "effect"

/** What either server shows of its process. The names are public: dashboards hold on to them. */

const eventLoopDelay = Metric.gauge("event_loop_delay_seconds", {
  description: "99th percentile of the event loop's delay since the last scrape"
})
const residentBytes = Metric.gauge("process_resident_memory_bytes", { description: "Resident memory" })
const heapBytes = Metric.gauge("process_heap_bytes", { description: "JavaScript heap in use" })
const cpuSeconds = Metric.counter("process_cpu_seconds_total", {
  description: "CPU time since start, user and system",
  incremental: true
})
const startTime = Metric.gauge("process_start_time_seconds", {
  description: "When the process started, in seconds since 1970"
})

/** What the monitor samples at: it is in what is measured. */
const resolutionMillis = 10

/** Keeps watch of the event loop for the scope's life; `sample` brings the metrics up to date. */
export const make: Effect.Effect<{ readonly sample: Effect.Effect<void> }, never, Scope.Scope> = Effect.gen(
  function* () {
    const delay = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const monitor = monitorEventLoopDelay({ resolution: resolutionMillis })
        monitor.enable()
        return monitor
      }),
      (monitor) => Effect.sync(() => monitor.disable())
    )
    const sample = Effect.gen(function* () {
      const { heapUsed, rss } = process.memoryUsage()
      const { system, user } = process.cpuUsage()
      // Nanoseconds.
      yield* Metric.update(eventLoopDelay, Math.max(0, delay.percentile(99) / 1e9 - resolutionMillis / 1000))
      delay.reset()
      yield* Metric.update(residentBytes, rss)
      yield* Metric.update(heapBytes, heapUsed)
      yield* Metric.update(startTime, performance.timeOrigin / 1000)
      yield* raise(cpuSeconds, (system + user) / 1e6)
    })
    return { sample }
  }
)

/** Brings a counter up to a total that is counted elsewhere. */
export const raise = Effect.fnUntraced(function* (counter: Metric.Counter<number>, total: number) {
  const { count } = yield* Metric.value(counter)
  yield* Metric.update(counter, Math.max(0, total - count))
})
