import * as RequestId from "@edge-relay/server-kit/RequestId"
import * as Problem from "@edge-relay/domain/api/Problem"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"
import { DEFAULT_SERVICE } from "@edge-relay/protocol/TunnelProtocol"
import { Clock, Effect, Schema, type Tracer } from "effect"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import { EdgePool } from "../pool/EdgePool.ts"
import { Exchange, type ExchangeOwner } from "./Exchange.ts"
import type { Forwarding } from "./Forwarding.ts"
import { GatewayAuth } from "../access/GatewayAuth.ts"
import * as GatewayProblem from "../GatewayProblem.ts"
import * as GatewaySpan from "../traffic/GatewaySpan.ts"
import { LiveExchanges } from "./LiveExchanges.ts"
import { Traffic } from "../traffic/Traffic.ts"

/**
 * The requests under way and the connections that they go over. What may be forwarded has been decided before.
 * When its scope closes, what is still under way is broken off.
 */
export interface Forwarder {
  /** False, and nothing done, where the id is no edge's. */
  readonly forward: (forwarding: Forwarding) => boolean
}

export interface ForwarderOptions {
  readonly firstByteMillis: number
  readonly uploadIdleMillis: number
  readonly maxStreamsPerEdge: number
}

const sweepMillis = 500

export const make = Effect.fnUntraced(function* (options: ForwarderOptions) {
  const { firstByteMillis, maxStreamsPerEdge, uploadIdleMillis } = options
  const auth = yield* GatewayAuth
  const dialer = yield* TunnelDialer
  const presence = yield* Presence
  const traffic = yield* Traffic
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const now = () => clock.currentTimeMillisUnsafe()

  /** By edge, and by service of it. */
  const pools = new Map<string, Map<string, EdgePool>>()
  const live = new LiveExchanges((caller, onEnded) => auth.watch(caller, onEnded))

  const dial = (
    edgeId: EdgeId,
    service: string,
    span: Tracer.Span | undefined,
    requestId: string | undefined
  ) => {
    const opening = dialer.open(edgeId, service).pipe(RequestId.during(requestId))
    return fork(span === undefined ? opening : Effect.withParentSpan(opening, span, withoutStack))
  }

  const poolOf = (edgeId: string, service: string): EdgePool | undefined => {
    const ofEdge = pools.get(edgeId)
    const known = ofEdge?.get(service)
    if (known !== undefined || !isEdgeId(edgeId)) return known
    const services = ofEdge ?? new Map<string, EdgePool>()
    const pool = new EdgePool(edgeId, {
      dial: (id, span, requestId) => dial(id, service, span, requestId),
      maxStreams: maxStreamsPerEdge,
      now,
      onEmpty: () => {
        services.delete(service)
        if (services.size === 0 && pools.get(edgeId) === services) pools.delete(edgeId)
      }
    })
    services.set(service, pool)
    pools.set(edgeId, services)
    return pool
  }

  const tellBytes = (exchange: Exchange): void => {
    exchange.count()
    const bytes = exchange.bytesIn + exchange.bytesOut
    if (bytes === exchange.bytesTold) return
    const { caller } = exchange.forwarding
    if (caller !== undefined) traffic.addBytes(caller.tenantId, bytes - exchange.bytesTold)
    exchange.bytesTold = bytes
  }

  const onEnded = (exchange: Exchange): void => {
    live.remove(exchange)
    tellBytes(exchange)
    const { caller, edgeId, requestId, path, span } = exchange.forwarding
    const { startedAt, method, status, cause, bytesIn, bytesOut } = exchange
    if (span !== undefined) GatewaySpan.end(span, status, cause, clock.currentTimeNanosUnsafe())
    if (caller === undefined) return
    traffic.record({
      tenantId: caller.tenantId,
      edgeId,
      requestId,
      startedAt,
      method,
      path,
      status,
      cause,
      millis: now() - startedAt,
      bytesIn,
      bytesOut
    })
  }

  const owner: ExchangeOwner = {
    now,
    firstByteMillis,
    uploadIdleMillis,
    onEnded,
    onDefect: ({ forwarding: { requestId, edgeId } }, cause) =>
      fork(GatewayProblem.log(cause, { requestId, edgeId }))
  }

  const allPools = () => Array.from(pools.values(), (services) => Array.from(services.values())).flat()

  const sweep = () => {
    const at = now()
    live.sweep((exchange) => {
      exchange.checkDeadline(at)
      tellBytes(exchange)
    })
    for (const pool of allPools()) pool.reap(at)
  }

  const stop = (timer: NodeJS.Timeout) => {
    clearInterval(timer)
    live.sweep((exchange) => exchange.fail(new Problem.Unavailable({ detail: "The server is stopping." })))
    for (const pool of allPools()) pool.destroy()
  }

  yield* Effect.acquireRelease(
    Effect.sync(() => setInterval(sweep, sweepMillis).unref()),
    (timer) => Effect.sync(() => stop(timer))
  )

  yield* Effect.acquireRelease(
    Effect.sync(() =>
      presence.watch((change) => {
        if (change.type !== "edge.online") return
        for (const pool of pools.get(change.session.edgeId)?.values() ?? []) pool.retire()
      })
    ),
    (unwatch) => Effect.sync(unwatch)
  )

  const localServer = (forwarding: Forwarding, edgeId: EdgeId) =>
    forwarding.own === undefined ? undefined : presence.session(edgeId)?.localServers?.[serviceOf(forwarding)]

  const forward = (forwarding: Forwarding): boolean => {
    const pool = poolOf(forwarding.edgeId, serviceOf(forwarding))
    if (pool === undefined) return false
    const exchange = new Exchange(forwarding, pool, owner, localServer(forwarding, pool.edgeId))
    live.add(exchange)
    exchange.start()
    return true
  }

  const forwarder: Forwarder = { forward }
  return forwarder
})

const serviceOf = ({ service = DEFAULT_SERVICE }: Forwarding): string => service

const isEdgeId = Schema.is(EdgeId)

/** There is no line of ours where a request came from. */
const withoutStack = { captureStackTrace: false } as const
