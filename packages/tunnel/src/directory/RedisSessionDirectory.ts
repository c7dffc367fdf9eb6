import { Clock, Effect, Latch, Layer, PubSub, Random, Schedule, Schema, Semaphore, Stream } from "effect"
import { Redis } from "effect/persistence"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { type Claim, SessionDirectory } from "./SessionDirectory.ts"
import { keyPrefix, makeReader, unavailable } from "./RedisSessionDirectoryReader.ts"
import * as Scripts from "./SessionDirectoryScripts.ts"

/**
 * The session directory of a cluster, in Redis. What a proxy holds lives under its lease, which it renews every few
 * seconds; one that cannot takes no tunnels, keeps those it has, and heals by itself.
 *
 * Claims are told through pub/sub, which loses messages with the connection. So each says which came before it, and
 * each beat which was the last: a proxy that has missed one says again what it holds, and hears what is newer.
 */

export interface RedisSessionDirectoryOptions {
  /** The internal address that this proxy announces. */
  readonly proxyUrl: string
  /** Keeps apart the clusters that use one Redis. */
  readonly cluster?: string
  readonly leaseMillis?: number
  readonly beatMillis?: number
}

/** A proxy's: announces it from now on. */
export const layer = (
  options: RedisSessionDirectoryOptions
): Layer.Layer<SessionDirectory, never, Redis.Redis> => Layer.effect(SessionDirectory, make(options))

const make = Effect.fnUntraced(function* (options: RedisSessionDirectoryOptions) {
  const { beatMillis = 5_000, leaseMillis = 15_000, cluster, proxyUrl } = options
  const prefix = keyPrefix(cluster)
  const redis = yield* Redis.Redis
  const reader = yield* makeReader(prefix)
  const clock = yield* Clock.Clock
  const scripts = {
    claim: redis.eval(Scripts.claim),
    hold: redis.eval(Scripts.hold),
    leave: redis.eval(Scripts.leave),
    release: redis.eval(Scripts.release),
    renew: redis.eval(Scripts.renew)
  }
  const channel = `${prefix}claims`
  /** Of this process: one that is started anew at the same address holds nothing of what the last one held. */
  const id = `${(yield* Random.nextIntBetween(0, 2 ** 48)).toString(16)}-${clock.currentTimeMillisUnsafe()}`
  const now = () => clock.currentTimeMillisUnsafe()

  const held = new Map<EdgeId, number>()
  const pending = new Map<EdgeId, Pending>()
  /** Edges whose claim in Redis may differ from what this proxy holds. The next beat holds them again. */
  const unsure = new Set<EdgeId>()
  const newer = yield* PubSub.unbounded<Claim>()
  const wake = yield* Latch.make(false)
  const renewing = yield* Semaphore.make(1)
  /** The last claim of any proxy that this one knows of. */
  let heard = 0
  /** What the last beat said was the last claim: by the next, it has been told. */
  let expected = 0
  /** Something may have been missed. */
  let stale = true
  let holdingAll = false
  let failing = false
  let leaseEndsAt = 0
  /** What Redis's clock is ahead of ours, at least; microseconds. */
  let redisAhead = 0

  const missed = Effect.suspend(() => {
    stale = true
    return wake.open
  })

  /** Tells Redis that these claims are held, and this proxy which claims are newer. Answers the last number. */
  const hold = Effect.fnUntraced(function* (claims: ReadonlyArray<readonly [EdgeId, number]>) {
    const [last, ...found] = yield* scripts.hold(prefix, id, claims)
    if (Number(last) < 0) return yield* leaseLost
    for (let i = 0; i + 1 < found.length; i += 2) yield* tell(found[i] ?? "", Number(found[i + 1]))
    // Given up while Redis was being told that it is held.
    for (const [edgeId, fence] of claims) {
      if (held.get(edgeId) !== fence) yield* scripts.release(prefix, id, edgeId, fence)
    }
    return Number(last)
  })

  /** Says again what is held; tells what is newer; forgets what is not held. */
  const holdAll = Effect.gen(function* () {
    holdingAll = true
    for (const claims of pending.values()) claims.unsure = true
    unsure.clear()
    const lost = yield* redis.send<ReadonlyArray<string>>("HKEYS", `${prefix}proxy:${id}`)
    const orphans = lost.filter((edge) => isEdgeId(edge) && !held.has(edge) && !pending.has(edge))
    if (orphans.length > 0) yield* redis.send("HDEL", `${prefix}proxy:${id}`, ...orphans)
    const all = Array.from(held)
    // Once at least: it answers the last number too.
    for (let from = 0; from === 0 || from < all.length; from += HOLD_BATCH) {
      const last = yield* hold(all.slice(from, from + HOLD_BATCH))
      if (from === 0) heard = Math.max(heard, last)
    }
  }).pipe(Effect.ensuring(Effect.sync(() => (holdingAll = false))))

  const holdUnsure = Effect.gen(function* () {
    const some = Array.from(unsure).slice(0, HOLD_BATCH)
    for (const edgeId of some) unsure.delete(edgeId)
    const claims = some.flatMap((edgeId) => {
      const fence = held.get(edgeId)
      return fence === undefined ? [] : [[edgeId, fence] as const]
    })
    if (claims.length > 0) yield* hold(claims)
    // Those that were just told again wait for the next beat; more than a batch do not.
    if (some.length === HOLD_BATCH) yield* wake.open
  })

  const beat = Effect.gen(function* () {
    const startedAt = now()
    const [stood, last, time] = yield* scripts.renew(prefix, id, proxyUrl, leaseMillis)
    redisAhead = time - now() * 1000
    if (stood === 0 || expected > heard) stale = true
    expected = last
    if (stale) {
      stale = false
      yield* Effect.tapError(holdAll, () => Effect.sync(() => (stale = true)))
    } else if (unsure.size > 0) yield* holdUnsure
    leaseEndsAt = startedAt + leaseMillis
    if (failing) yield* Effect.logInfo("the proxy's lease stands again")
    failing = false
  }).pipe(
    Effect.tapError((error) => {
      stale = true
      if (failing) return Effect.void
      failing = true
      return Effect.logError("the proxy's lease cannot be renewed: it takes no tunnels until it can", error)
    }),
    renewing.withPermits(1)
  )

  const beats = Effect.gen(function* () {
    yield* Effect.ignore(beat)
    const pause = failing || stale || unsure.size > 0 || expected > heard ? RETRY_MILLIS : beatMillis
    yield* wake.await.pipe(Effect.timeoutOption(Math.min(pause, beatMillis)))
    yield* wake.close
  })

  const tell = (edgeId: string, fence: number) => {
    if (!isEdgeId(edgeId)) return Effect.void
    const claims = pending.get(edgeId)
    if (claims === undefined) {
      // Told again until the older claim is given up: whoever made it may not have noted it yet.
      if ((held.get(edgeId) ?? fence) < fence) unsure.add(edgeId)
      return PubSub.publish(newer, { edgeId, fence })
    }
    claims.told = Math.max(claims.told, fence)
    return Effect.void
  }

  const onMessage = Effect.fnUntraced(function* (message: string) {
    const [edgeId = "", fence, previous, proxy] = message.split(" ")
    if (Number(previous) > heard) yield* missed
    heard = Math.max(heard, Number(fence))
    // Its own are displaced by whoever registers them.
    const before = unsure.size
    if (proxy !== id) yield* tell(edgeId, Number(fence))
    if (unsure.size > before) yield* wake.open
  })

  const listen = redis.subscribe(channel).pipe(
    Effect.flatMap((messages) =>
      Stream.runForEach(Stream.fromQueue(messages), ({ message }) => onMessage(message))
    ),
    Effect.scoped,
    Effect.ignore,
    Effect.repeat(Schedule.spaced(RETRY_MILLIS))
  )

  const tryClaim = Effect.fnUntraced(function* (edgeId: EdgeId) {
    const deadline = now() * 1000 + redisAhead + CLAIM_PATIENCE_MICROS
    const fence = yield* scripts.claim(prefix, id, edgeId, channel, deadline)
    return fence > 0 ? fence : yield* leaseLost
  })

  const claim = Effect.fnUntraced(function* (edgeId: EdgeId) {
    const fence = yield* tryClaim(edgeId).pipe(
      // Redis may have been started anew since the last beat, or its clock been put right.
      Effect.catchTag("LeaseLost", () => Effect.andThen(beat, tryClaim(edgeId))),
      // Redis may have counted it all the same.
      Effect.tapError(() => missed)
    )
    held.set(edgeId, Math.max(fence, held.get(edgeId) ?? 0))
    return { edgeId, fence }
  })

  const begin = (edgeId: EdgeId) =>
    Effect.sync(() => {
      const claims = pending.get(edgeId) ?? { count: 0, told: 0, unsure: false }
      claims.count++
      claims.unsure ||= claims.count > 1 || holdingAll
      pending.set(edgeId, claims)
      return claims
    })

  /** Passes on what was told meanwhile. */
  const end = (edgeId: EdgeId, claims: Pending) =>
    Effect.suspend(() => {
      if (--claims.count > 0) return Effect.void
      pending.delete(edgeId)
      if (claims.unsure) unsure.add(edgeId)
      if (claims.unsure || claims.told > 0) wake.openUnsafe()
      return claims.told === 0 ? Effect.void : tell(edgeId, claims.told)
    })

  yield* Effect.addFinalizer(() => Effect.ignore(scripts.leave(prefix, id)))
  yield* Effect.forkScoped(listen)
  yield* Effect.ignore(beat)
  yield* Effect.forkScoped(Effect.forever(beats))

  return SessionDirectory.of({
    ...reader,
    claim: Effect.fn("SessionDirectory.claim")((edgeId) =>
      unavailable(
        "claim",
        Effect.acquireUseRelease(
          begin(edgeId),
          () => claim(edgeId),
          (claims) => end(edgeId, claims)
        )
      )
    ),
    release: Effect.fn("SessionDirectory.release")(({ edgeId, fence }) => {
      if (held.get(edgeId) === fence) held.delete(edgeId)
      return unavailable("release", scripts.release(prefix, id, edgeId, fence)).pipe(
        Effect.map((released) => released === 1),
        Effect.tapError(() => missed)
      )
    }),
    claims: Stream.fromPubSub(newer),
    isAccepting: Effect.sync(() => !failing && now() < leaseEndsAt)
  })
})

/** The claims of one edge by this proxy that Redis has not answered yet. */
interface Pending {
  count: number
  /** The newest claim of another proxy that was told meanwhile, or 0. */
  told: number
  /**
   * What Redis has may differ from what is held once these are answered. Either they overlap, and the newest was
   * answered and given up before an older one. Or all that is held was held again meanwhile, without these: a newer
   * claim whose message was lost then counts as heard.
   */
  unsure: boolean
}

/** Redis does not know this proxy, or knows it too late. */
class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {}) {
  override get message(): string {
    return "the proxy's lease does not stand"
  }
}

const leaseLost = Effect.suspend(() => Effect.fail(new LeaseLost()))

/** After a beat that failed, or while a claim is on its way. */
const RETRY_MILLIS = 1_000

/** Some 100 kB a script call: Redis does nothing else meanwhile. */
const HOLD_BATCH = 1_000

/** As long as a command is waited for. */
const CLAIM_PATIENCE_MICROS = 2_000_000

const isEdgeId = Schema.is(EdgeId)
