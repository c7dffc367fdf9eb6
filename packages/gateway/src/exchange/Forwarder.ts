import * as Problem from "@edge-relay/domain/api/Problem"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"
import { DEFAULT_SERVICE } from "@edge-relay/protocol/TunnelProtocol"
import { Cause, Clock, Effect, Schema, type Tracer } from "effect"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import { EdgePool } from "../pool/EdgePool.ts"
import { Exchange, type ExchangeOwner, type Forwarding } from "./Exchange.ts"
import { GatewayAuth } from "../access/GatewayAuth.ts"
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

  const pools = new Map<string, EdgePool>()
  const live = new LiveExchanges((session, onEnded) => auth.watch(session, onEnded))

  const dial = (edgeId: EdgeId, span: Tracer.Span | undefined) => {
    const opening = dialer.open(edgeId, DEFAULT_SERVICE)
    return fork(span === undefined ? opening : Effect.withParentSpan(opening, span, withoutStack))
  }

  const poolOf = (edgeId: string): EdgePool | undefined => {
    const known = pools.get(edgeId)
    if (known !== undefined || !isEdgeId(edgeId)) return known
    const pool = new EdgePool(edgeId, {
      dial,
      maxStreams: maxStreamsPerEdge,
      now,
      onEmpty: () => pools.delete(edgeId),
      onDefect: (defect) => fork(Effect.logError("an edge's answer met a defect", Cause.die(defect)))
    })
    pools.set(edgeId, pool)
    return pool
  }

  const tellBytes = (exchange: Exchange): void => {
    exchange.count()
    const bytes = exchange.bytesIn + exchange.bytesOut
    if (bytes === exchange.bytesTold) return
    traffic.addBytes(exchange.forwarding.session.tenantId, bytes - exchange.bytesTold)
    exchange.bytesTold = bytes
  }

  const onEnded = (exchange: Exchange): void => {
    live.remove(exchange)
    tellBytes(exchange)
    const { session, edgeId, requestId, path, span } = exchange.forwarding
    const { startedAt, method, status, cause, bytesIn, bytesOut } = exchange
    if (span !== undefined) GatewaySpan.end(span, status, cause, clock.currentTimeNanosUnsafe())
    traffic.record({
      tenantId: session.tenantId,
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
    onDied: ({ forwarding: { requestId, edgeId } }, failure) =>
      fork(
        Effect.logError("an edge's stream could not be opened", failure).pipe(
          Effect.annotateLogs({ requestId, edgeId })
        )
      )
  }

  const sweep = () => {
    const at = now()
    live.sweep((exchange) => {
      exchange.checkDeadline(at)
      tellBytes(exchange)
    })
    for (const pool of pools.values()) pool.reap(at)
  }

  const stop = (timer: NodeJS.Timeout) => {
    clearInterval(timer)
    live.sweep((exchange) => exchange.fail(new Problem.Unavailable({ detail: "The server is stopping." })))
    for (const pool of pools.values()) pool.destroy()
  }

  yield* Effect.acquireRelease(
    Effect.sync(() => setInterval(sweep, sweepMillis).unref()),
    (timer) => Effect.sync(() => stop(timer))
  )

  yield* Effect.acquireRelease(
    Effect.sync(() =>
      presence.watch((change) => {
        if (change.type === "edge.online") pools.get(change.session.edgeId)?.retire()
      })
    ),
    (unwatch) => Effect.sync(unwatch)
  )

  const forward = (forwarding: Forwarding): boolean => {
    const pool = poolOf(forwarding.edgeId)
    if (pool === undefined) return false
    const exchange = new Exchange(forwarding, pool, owner)
    live.add(exchange)
    exchange.start()
    return true
  }

  const forwarder: Forwarder = { forward }
  return forwarder
})

const isEdgeId = Schema.is(EdgeId)

/** There is no line of ours where a request came from. */
const withoutStack = { captureStackTrace: false } as const
