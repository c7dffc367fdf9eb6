import { Metric } from "effect"

/** What a proxy counts about its tunnels. The names are public: dashboards hold on to them. */

export const sessions = Metric.gauge("tunnel_sessions", { description: "Tunnels that are registered" })

export const streams = Metric.gauge("tunnel_streams_active", { description: "Streams that are open" })

const bytes = Metric.counter("tunnel_bytes_total", {
  description: "Bytes of streams' payload since start; in is from the edges",
  incremental: true
})
export const bytesIn = Metric.withAttributes(bytes, { direction: "in" })
export const bytesOut = Metric.withAttributes(bytes, { direction: "out" })

export const displaced = Metric.counter("tunnel_displaced_total", {
  description: "Tunnels that a newer one with the same token took the place of",
  incremental: true
})

export const roundTripSeconds = Metric.histogram("tunnel_round_trip_seconds", {
  description: "Round trips of heartbeats",
  boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})
