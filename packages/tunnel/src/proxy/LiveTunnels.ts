import {
  Clock,
  Deferred,
  Duration,
  Effect,
  Metric,
  Option,
  Random,
  Schedule,
  type Scope,
  Stream
} from "effect"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { type CloseReason, SessionStore, type TunnelHandle } from "@edge-relay/domain/tunnels/SessionStore"
import type { TokenId } from "@edge-relay/domain/ids/TokenId"
import { type AuthenticatedToken, SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { Contention, type ContentionOptions } from "./Contention.ts"
import type { EdgeTunnel } from "./EdgeTunnel.ts"
import { type Claim, SessionDirectory } from "../directory/SessionDirectory.ts"
import { DialError, EdgeOffline, type EdgeStream } from "@edge-relay/domain/tunnels/DialError"
import type { TunnelEvent } from "@edge-relay/protocol/TunnelEvent"
import * as TunnelEvents from "./TunnelEvents.ts"
import * as TunnelMetrics from "./TunnelMetrics.ts"

/**
 * The open tunnels of this proxy: those that have yet to say hello, those in the session store, and those that
 * have left it to drain. A tunnel is in the store, and claimed for this proxy, from its hello to its close.
 */

export interface TunnelTotals {
  readonly sessions: number
  readonly streams: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface LiveTunnels {
  /** Open, registered or not. */
  readonly size: () => number
  readonly isDraining: () => boolean
  /** Milliseconds to put a connection with this token off by, since it is fought for; 0 to let it in. */
  readonly contentionDelay: (tokenId: TokenId) => Effect.Effect<number>
  readonly add: (tunnel: EdgeTunnel) => void
  /** The agent has said hello: from now on its edge is online here. */
  readonly register: (tunnel: EdgeTunnel) => Effect.Effect<void>
  /** The agent has answered a ping. */
  readonly heartbeat: (tunnel: EdgeTunnel) => Effect.Effect<void>
  readonly remove: (tunnel: EdgeTunnel) => Effect.Effect<void>
  readonly open: (edgeId: EdgeId, service: string) => Effect.Effect<EdgeStream, DialError>
  readonly close: (
    which: (token: AuthenticatedToken) => boolean,
    reason: CloseReason
  ) => Effect.Effect<boolean>
  readonly events: Stream.Stream<TunnelEvent>
  readonly totals: Effect.Effect<TunnelTotals>
  readonly drain: Effect.Effect<void>
}

export interface LiveTunnelsOptions {
  readonly maxStreams: number
  readonly heartbeatMillis: number
  readonly silenceMillis: number
  readonly graceMillis: number
  readonly contention: ContentionOptions
}

export const make = Effect.fnUntraced(function* (
  options: LiveTunnelsOptions
): Effect.fn.Return<LiveTunnels, never, SessionStore | SessionTokens | SessionDirectory | Scope.Scope> {
  const store = yield* SessionStore
  const tokens = yield* SessionTokens
  const directory = yield* SessionDirectory
  const clock = yield* Clock.Clock
  const random = yield* Random.Random

  const tunnels = new Set<EdgeTunnel>()
  const claims = new Map<EdgeTunnel, Claim>()
  /** Out of the store and still good for streams, until their agents are elsewhere. */
  const leaving = new Map<EdgeId, EdgeTunnel>()
  const closedBytes = { in: 0, out: 0 }
  const contention = new Contention(options.contention)
  const empty = yield* Deferred.make<void>()
  let draining = false
  const events = yield* TunnelEvents.make(() => ({
    contended: contention.contended.map(({ edgeId }) => edgeId),
    draining
  }))
  /** Over how long agents are told to come back elsewhere. */
  let spreadMillis = 0

  const register = Effect.fn("LiveTunnels.register")(function* (tunnel: EdgeTunnel) {
    const { token } = tunnel
    const claim = yield* directory.claim(token.edgeId).pipe(
      Effect.tapError((error) => Effect.logError("tunnel not registered", error)),
      Effect.option
    )
    // The agent comes back, to a proxy that can reach the directory.
    if (Option.isNone(claim)) return yield* tunnel.close("disconnected")
    claims.set(tunnel, claim.value)
    if (yield* store.register(token.tokenId, tunnel)) yield* recordDisplaced(tunnel)
    // It closed while it was being registered: the removal that its close asked for came too early.
    if (tunnel.isClosed) return yield* remove(tunnel)
    tunnel.welcome({
      edgeId: token.edgeId,
      heartbeatSeconds: options.heartbeatMillis / 1000,
      maxStreams: options.maxStreams
    })
    yield* events.session(token)
    if (draining) yield* leave(tunnel)
    yield* confirm(tunnel)
  })

  const recordDisplaced = Effect.fnUntraced(function* ({ instanceId, token }: EdgeTunnel) {
    yield* Metric.update(TunnelMetrics.displaced, 1)
    if (!contention.displaced(token, instanceId, clock.currentTimeMillisUnsafe())) return
    yield* Effect.logWarning("two machines fight for one token").pipe(Effect.annotateLogs({ ...token }))
    yield* events.contended(token, true)
  })

  /** A token that was revoked while its tunnel was being set up is found out here. */
  const confirm = Effect.fnUntraced(
    function* (tunnel: EdgeTunnel) {
      const { tokenId } = tunnel.token
      const replaced = yield* tokens.connected(tokenId).pipe(
        Effect.retry({
          while: (error) => error._tag === "StorageUnavailable" && !tunnel.isClosed,
          schedule: CONFIRM_RETRIES
        })
      )
      for (const older of replaced) yield* close((token) => token.tokenId === older, "revoked")
    },
    (effect, tunnel) =>
      Effect.catchTags(effect, {
        TokenRejected: () => close((token) => token.tokenId === tunnel.token.tokenId, "revoked"),
        StorageUnavailable: (error) => Effect.logError("could not record that a token is in use", error)
      })
  )

  const remove = Effect.fn("LiveTunnels.remove")(function* (tunnel: EdgeTunnel) {
    const { token } = tunnel
    if (tunnels.delete(tunnel)) {
      closedBytes.in += tunnel.bytesIn
      closedBytes.out += tunnel.bytesOut
    }
    if (leaving.get(token.edgeId) === tunnel) leaving.delete(token.edgeId)
    yield* store.unregister(token.tokenId, tunnel)
    const claim = claims.get(tunnel)
    if (claim !== undefined) {
      claims.delete(tunnel)
      yield* directory
        .release(claim)
        .pipe(
          Effect.catch((error) => Effect.logWarning("claim not released; it lapses with the lease", error))
        )
      yield* events.session(token)
    }
    if (draining && tunnels.size === 0) yield* Deferred.succeed(empty, undefined)
  })

  const close = Effect.fn("LiveTunnels.close")(function* (
    which: (token: AuthenticatedToken) => boolean,
    reason: CloseReason
  ) {
    const chosen = Array.from(tunnels).filter((tunnel) => which(tunnel.token))
    for (const tunnel of chosen) {
      yield* store.unregister(tunnel.token.tokenId, tunnel)
      yield* tunnel.close(reason)
    }
    return chosen.length > 0
  })

  const open = (edgeId: EdgeId, service: string) =>
    Effect.flatMap(store.lookupEdge(edgeId), (registered) => {
      const tunnel: TunnelHandle | undefined = Option.getOrElse(registered, () => leaving.get(edgeId))
      return tunnel === undefined
        ? Effect.fail(new DialError({ reason: new EdgeOffline({ edgeId }) }))
        : tunnel.open(service)
    })

  const leave = Effect.fnUntraced(function* (tunnel: EdgeTunnel) {
    yield* store.unregister(tunnel.token.tokenId, tunnel)
    leaving.set(tunnel.token.edgeId, tunnel)
    tunnel.drain({
      reconnectAfterMillis: Math.round(random.nextDoubleUnsafe() * spreadMillis),
      graceSeconds: options.graceMillis / 1000
    })
  })

  const drain = Effect.gen(function* () {
    if (!draining) {
      draining = true
      spreadMillis = Math.min(tunnels.size * DRAIN_MILLIS_A_TUNNEL, options.graceMillis / 2)
      yield* Effect.logInfo("draining").pipe(Effect.annotateLogs({ tunnels: tunnels.size }))
      yield* events.draining
      for (const tunnel of tunnels) yield* claims.has(tunnel) ? leave(tunnel) : tunnel.close("draining")
    }
    if (tunnels.size > 0) {
      yield* Deferred.await(empty).pipe(
        Effect.timeoutOrElse({
          duration: spreadMillis + SETTLE_MILLIS,
          orElse: () => Effect.raceFirst(Deferred.await(empty), closeIdle)
        }),
        Effect.timeoutOption(options.graceMillis)
      )
    }
    yield* closeAll
  }).pipe(Effect.withSpan("LiveTunnels.drain"))

  /** An agent that has had time to go elsewhere, and whose tunnel carries nothing, is not waited for. */
  const closeIdle = Effect.suspend(() =>
    Effect.forEach(
      Array.from(tunnels).filter(({ streams }) => streams === 0),
      (tunnel) => tunnel.close("draining"),
      { discard: true }
    )
  ).pipe(Effect.repeat(Schedule.spaced("250 millis")), Effect.andThen(Effect.never))

  const closeAll = Effect.suspend(() =>
    Effect.forEach(Array.from(tunnels), (tunnel) => tunnel.close("draining"), { discard: true })
  )

  /** Another proxy has taken the edge over: it was this one's until now. */
  const yieldTo = Effect.fnUntraced(function* ({ edgeId, fence }: Claim) {
    for (const [tunnel, held] of claims) {
      if (held.edgeId !== edgeId || held.fence >= fence) continue
      if (leaving.get(edgeId) === tunnel) {
        // Its agent has gone where it was asked to; its open streams may finish here, whoever claims the edge next.
        leaving.delete(edgeId)
        claims.delete(tunnel)
        yield* Effect.ignore(directory.release(held))
        yield* events.session(tunnel.token)
        continue
      }
      // That tunnel alone: the agent may be back here already, under a greater number.
      yield* store.unregister(tunnel.token.tokenId, tunnel)
      yield* tunnel.close("displaced")
    }
  })

  const sweep = Effect.gen(function* () {
    yield* store.cleanupExpired(options.silenceMillis)
    for (const token of contention.settle(clock.currentTimeMillisUnsafe()))
      yield* events.contended(token, false)
  })

  yield* Effect.addFinalizer(() => closeAll)
  yield* Effect.forkScoped(Stream.runForEach(directory.claims, yieldTo))
  yield* Effect.forkScoped(
    Effect.repeat(sweep, Schedule.spaced(Duration.millis(options.silenceMillis / SWEEPS_A_SILENCE)))
  )

  return {
    size: () => tunnels.size,
    isDraining: () => draining,
    contentionDelay: (tokenId) =>
      Effect.map(store.exists(tokenId), (exists) =>
        // With nothing to displace there is no fight.
        exists ? contention.delayMillis(tokenId, clock.currentTimeMillisUnsafe()) : 0
      ),
    add: (tunnel) => tunnels.add(tunnel),
    register,
    // One that has been displaced, or is leaving, is no longer the store's.
    heartbeat: ({ tokenId }) => Effect.ignore(store.heartbeat(tokenId)),
    remove,
    open,
    close,
    events: events.stream,
    totals: Effect.sync(() => {
      const totals = { sessions: claims.size, streams: 0, bytesIn: closedBytes.in, bytesOut: closedBytes.out }
      for (const { streams, bytesIn, bytesOut } of tunnels) {
        totals.streams += streams
        totals.bytesIn += bytesIn
        totals.bytesOut += bytesOut
      }
      return totals
    }),
    drain
  }
})

/** Agents are told to come back elsewhere at a thousand a second. */
const DRAIN_MILLIS_A_TUNNEL = 1

/** For an agent to dial elsewhere, after the delay that it was asked for. */
const SETTLE_MILLIS = 5_000

/** A silent tunnel is noticed a second late at most, with 45 seconds of patience. */
const SWEEPS_A_SILENCE = 45

/** About an hour, while the tunnel stands; the older token lapses by itself after a day. */
const CONFIRM_RETRIES = Schedule.max([Schedule.exponential("1 second"), Schedule.recurs(12)])
