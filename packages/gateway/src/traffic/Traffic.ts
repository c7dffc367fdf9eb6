import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import { Clock, Context, DateTime, Effect, Layer, Metric } from "effect"

/**
 * What went through the gateway: the last requests of each edge, each tenant's last hour, and the metrics.
 * Memory of this process only, and bounded whatever the number of edges and tenants.
 */

/** Kept for each edge: what `GET /api/edges/:edgeId/traffic` answers. */
const perEdge = 200
/** Over all edges, some 10 MB; past it the edge that was quiet for longest is forgotten. */
const maxRequests = 40_000
const maxTenants = 10_000

/** A forwarded request, as it ended. `cause` is null where the edge answered, `status` where nobody did. */
export interface Forwarded {
  readonly requestId: string
  readonly at: DateTime.Utc
  readonly method: string
  /** Without its query, which may hold secrets. */
  readonly path: string
  readonly status: number | null
  readonly cause: string | null
  readonly millis: number
  /** Of bodies, and of what an upgraded connection carried. In: from the edge. Out: to it. */
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface TrafficStats {
  /** Over the last ten seconds. */
  readonly requestsPerSecond: number
  readonly bytesPerSecond: number
  /** Up to 60 steps of a minute, oldest first, from the first with traffic on. */
  readonly lastHour: ReadonlyArray<{
    readonly at: DateTime.Utc
    readonly requests: number
    readonly bytes: number
  }>
}

export interface Ended {
  readonly tenantId: TenantId
  readonly edgeId: string
  readonly requestId: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly method: string
  readonly path: string
  readonly status: number | null
  readonly cause: string | null
  readonly millis: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export class Traffic extends Context.Service<
  Traffic,
  {
    /** Newest first. Ask only for an edge that is the asker's. */
    readonly recent: (edgeId: string) => ReadonlyArray<Forwarded>
    readonly stats: (tenantId: TenantId) => Effect.Effect<TrafficStats>
    /** A forwarded request has ended. */
    readonly record: (ended: Ended) => void
    /** A request was answered by the gateway itself, before it was forwarded to an edge. */
    readonly refused: (status: number, cause: string) => void
    /** Bytes have passed, either way: told while a long request lasts, and when it ends. */
    readonly addBytes: (tenantId: TenantId, bytes: number) => void
    /** The edge is gone, and what is known of it with it. */
    readonly forget: (edgeId: string) => void
  }
>()("@edge-relay/gateway/traffic/Traffic") {
  static readonly layer = Layer.effect(
    Traffic,
    Effect.suspend(() => make)
  )
}

export const requestsTotal = Metric.counter("gateway_requests_total", {
  description:
    "Requests that the gateway has answered, by status code and by who gave up (none: the edge answered)",
  incremental: true
})

export const requestDuration = Metric.histogram("gateway_request_duration_seconds", {
  description: "From the first byte of a request to the last of its answer",
  boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
})

const make = Effect.gen(function* () {
  const context = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  /** Least recently used first. */
  const edges = new Map<string, Ring>()
  const tenants = new Map<TenantId, Hour>()
  const counters = new Map<string, typeof requestsTotal>()
  let kept = 0

  const count = (code: string, cause: string) => {
    const key = `${code} ${cause}`
    let counter = counters.get(key)
    if (counter === undefined) {
      counter = Metric.withAttributes(requestsTotal, { code, cause })
      counters.set(key, counter)
    }
    counter.updateUnsafe(1, context)
  }

  const hourOf = (tenantId: TenantId): Hour => {
    let hour = tenants.get(tenantId)
    if (hour === undefined) {
      const [first] = tenants.keys()
      if (tenants.size >= maxTenants && first !== undefined) tenants.delete(first)
      hour = new Hour()
      tenants.set(tenantId, hour)
    }
    return hour
  }

  const forget = (edgeId: string) => {
    kept -= edges.get(edgeId)?.size ?? 0
    edges.delete(edgeId)
  }

  const ringOf = (edgeId: string): Ring => {
    const ring = edges.get(edgeId) ?? new Ring()
    edges.delete(edgeId)
    edges.set(edgeId, ring)
    return ring
  }

  return Traffic.of({
    recent: (edgeId) => edges.get(edgeId)?.newestFirst() ?? [],

    stats: (tenantId) =>
      Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        return tenants.get(tenantId)?.stats(now) ?? { requestsPerSecond: 0, bytesPerSecond: 0, lastHour: [] }
      }),

    record: (ended) => {
      const ring = ringOf(ended.edgeId)
      kept += ring.add(ended)
      // One request more takes one forgotten edge at most: it holds one at least.
      const [oldest] = edges.keys()
      if (kept > maxRequests && oldest !== undefined) forget(oldest)
      hourOf(ended.tenantId).add(ended.startedAt + ended.millis, 1, 0)
      count(ended.status === null ? "none" : String(ended.status), ended.cause ?? "none")
      requestDuration.updateUnsafe(ended.millis / 1000, context)
    },

    refused: (status, cause) => count(String(status), cause),

    addBytes: (tenantId, bytes) => hourOf(tenantId).add(clock.currentTimeMillisUnsafe(), 0, bytes),

    forget
  })
})

/** The last requests of one edge. */
class Ring {
  readonly #items: Array<Ended> = []
  #next = 0

  get size(): number {
    return this.#items.length
  }

  /** Answers by how many it has grown. */
  add(ended: Ended): 0 | 1 {
    const grown = this.#items.length < perEdge ? 1 : 0
    this.#items[this.#next] = ended
    this.#next = (this.#next + 1) % perEdge
    return grown
  }

  newestFirst(): ReadonlyArray<Forwarded> {
    const size = this.#items.length
    const newest: Array<Forwarded> = []
    for (let back = 1; back <= size; back++) {
      const item = this.#items[(this.#next - back + perEdge) % perEdge]
      if (item !== undefined) newest.push(toForwarded(item))
    }
    return newest
  }
}

const toForwarded = (ended: Ended): Forwarded => ({
  requestId: ended.requestId,
  at: DateTime.makeUnsafe(ended.startedAt),
  method: ended.method,
  path: ended.path,
  status: ended.status,
  cause: ended.cause,
  millis: ended.millis,
  bytesIn: ended.bytesIn,
  bytesOut: ended.bytesOut
})

/** Sixty minutes, and ten seconds, of one tenant, each a ring of sums. */
class Hour {
  readonly #minutes = new Sums(60, 60_000)
  readonly #seconds = new Sums(11, 1000)

  add(at: number, requests: number, bytes: number): void {
    this.#minutes.add(at, requests, bytes)
    this.#seconds.add(at, requests, bytes)
  }

  stats(now: number): TrafficStats {
    // The second that has just begun would pull the average down.
    const seconds = this.#seconds.until(now).slice(0, -1)
    return {
      requestsPerSecond: seconds.reduce((sum, { requests }) => sum + requests, 0) / 10,
      bytesPerSecond: seconds.reduce((sum, { bytes }) => sum + bytes, 0) / 10,
      lastHour: this.#minutes.until(now).map(({ at, ...sums }) => ({ at: DateTime.makeUnsafe(at), ...sums }))
    }
  }
}

class Sums {
  readonly #size: number
  readonly #stepMillis: number
  readonly #steps: Float64Array
  readonly #requests: Float64Array
  readonly #bytes: Float64Array
  #first = Infinity

  constructor(size: number, stepMillis: number) {
    this.#size = size
    this.#stepMillis = stepMillis
    this.#steps = new Float64Array(size)
    this.#requests = new Float64Array(size)
    this.#bytes = new Float64Array(size)
  }

  add(at: number, requests: number, bytes: number): void {
    const step = Math.floor(at / this.#stepMillis)
    const index = step % this.#size
    if (this.#steps[index] !== step) {
      this.#steps[index] = step
      this.#requests[index] = 0
      this.#bytes[index] = 0
      this.#first = Math.min(this.#first, step)
    }
    this.#requests[index] = (this.#requests[index] ?? 0) + requests
    this.#bytes[index] = (this.#bytes[index] ?? 0) + bytes
  }

  /** Every step up to now, those without traffic too, oldest first. */
  until(now: number): ReadonlyArray<{ at: number; requests: number; bytes: number }> {
    const last = Math.floor(now / this.#stepMillis)
    const steps: Array<{ at: number; requests: number; bytes: number }> = []
    for (let step = Math.max(last - this.#size + 1, this.#first); step <= last; step++) {
      const index = step % this.#size
      const known = this.#steps[index] === step
      steps.push({
        at: step * this.#stepMillis,
        requests: known ? (this.#requests[index] ?? 0) : 0,
        bytes: known ? (this.#bytes[index] ?? 0) : 0
      })
    }
    return steps
  }
}
