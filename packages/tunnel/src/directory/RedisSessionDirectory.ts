import {
  Clock,
  Effect,
  Latch,
  Layer,
  Option,
  PubSub,
  Random,
  Schedule,
  Schema,
  Semaphore,
  Stream
} from "effect"
import { Redis } from "effect/persistence"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { type Claim, DirectoryUnavailable, SessionDirectory } from "./SessionDirectory.ts"
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
  /** For several clusters in one Redis. In braces, so that a Redis Cluster keeps it together. */
  readonly prefix?: string
  readonly leaseMillis?: number
  readonly beatMillis?: number
}

/** A proxy's: announces it from now on. */
export const layer = (
  options: RedisSessionDirectoryOptions
): Layer.Layer<SessionDirectory, never, Redis.Redis> => Layer.effect(SessionDirectory, make(options))

/** For who only asks: the api. Where Redis does not answer, an edge is thought to be where it last was. */
export const layerReader = (options: { readonly prefix?: string } = {}) =>
  Layer.effect(
    SessionDirectory,
    Effect.gen(function* () {
      const reader = yield* makeReader(options.prefix ?? PREFIX)
      const known = new Map<EdgeId, string>()
      return SessionDirectory.of({
        proxies: reader.proxies,
        // The proxy itself says whether it holds the edge, so that an old address does no harm.
        locate: (edgeId) =>
          reader.locate(edgeId).pipe(
            Effect.tap((found) => Effect.sync(() => remember(known, edgeId, Option.getOrUndefined(found)))),
            Effect.catch((error) => {
              const last = known.get(edgeId)
              return last === undefined ? Effect.fail(error) : Effect.succeedSome(last)
            })
          ),
        claim: () => Effect.die(new Error("only a proxy claims edges")),
        release: () => Effect.die(new Error("only a proxy claims edges")),
        claims: Stream.never,
        isAccepting: Effect.succeed(false)
      })
    })
  )

const PREFIX = "{edge-relay}:"

const makeReader = Effect.fnUntraced(function* (prefix: string) {
  const redis = yield* Redis.Redis
  const locate = redis.eval(Scripts.locate)
  const proxies = redis.eval(Scripts.proxies)
  return {
    locate: Effect.fn("SessionDirectory.locate")((edgeId: EdgeId) =>
      Effect.map(unavailable("locate", locate(prefix, edgeId)), Option.fromNullishOr)
    ),
    proxies: Effect.map(unavailable("proxies", proxies(prefix)), (urls) => Array.from(new Set(urls)))
  }
})

const make = Effect.fnUntraced(function* (options: RedisSessionDirectoryOptions) {
  const { beatMillis = 5_000, leaseMillis = 15_000, prefix = PREFIX, proxyUrl } = options
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
  /** Being claimed, with the newest claim of another proxy that was told meanwhile. */
  const pending = new Map<EdgeId, { claims: number; told: number }>()
  const newer = yield* PubSub.unbounded<Claim>()
  const wake = yield* Latch.make(false)
  const renewing = yield* Semaphore.make(1)
  /** The last claim of any proxy that this one knows of. */
  let heard = 0
  /** What the last beat said was the last claim: by the next, it has been told. */
  let expected = 0
  /** Something may have been missed. */
  let stale = true
  let failing = false
  let leaseEndsAt = 0
  /** What Redis's clock is ahead of ours, at least; microseconds. */
  let redisAhead = 0

  const missed = Effect.suspend(() => {
    stale = true
    return wake.open
  })

  /** Says again what is held; tells what is newer; forgets what is not held. */
  const holdAgain = Effect.gen(function* () {
    const lost = yield* redis.send<ReadonlyArray<string>>("HKEYS", `${prefix}proxy:${id}`)
    const orphans = lost.filter((edge) => isEdgeId(edge) && !held.has(edge) && !pending.has(edge))
    if (orphans.length > 0) yield* redis.send("HDEL", `${prefix}proxy:${id}`, ...orphans)
    const all = Array.from(held)
    // Once at least: it answers the last number too.
    for (let from = 0; from === 0 || from < all.length; from += HOLD_BATCH) {
      const batch = all.slice(from, from + HOLD_BATCH)
      const [last, ...found] = yield* scripts.hold(prefix, id, batch)
      if (Number(last) < 0) return yield* leaseLost
      heard = Math.max(heard, from === 0 ? Number(last) : 0)
      for (let i = 0; i + 1 < found.length; i += 2) yield* tell(found[i] ?? "", Number(found[i + 1]))
      // Given up while Redis was being told that it is held.
      for (const [edgeId, fence] of batch) {
        if (held.get(edgeId) !== fence) yield* scripts.release(prefix, id, edgeId, fence)
      }
    }
  })

  const beat = Effect.gen(function* () {
    const startedAt = now()
    const [stood, last, time] = yield* scripts.renew(prefix, id, proxyUrl, leaseMillis)
    redisAhead = time - now() * 1000
    if (stood === 0 || expected > heard) stale = true
    expected = last
    if (stale) {
      stale = false
      yield* Effect.tapError(holdAgain, () => Effect.sync(() => (stale = true)))
    }
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
    const pause = failing || stale || expected > heard ? RETRY_MILLIS : beatMillis
    yield* wake.await.pipe(Effect.timeoutOption(Math.min(pause, beatMillis)))
    yield* wake.close
  })

  const tell = (edgeId: string, fence: number) => {
    if (!isEdgeId(edgeId)) return Effect.void
    const waiting = pending.get(edgeId)
    if (waiting === undefined) return PubSub.publish(newer, { edgeId, fence })
    waiting.told = Math.max(waiting.told, fence)
    return Effect.void
  }

  const onMessage = Effect.fnUntraced(function* (message: string) {
    const [edgeId = "", fence, previous, proxy] = message.split(" ")
    if (Number(previous) > heard) yield* missed
    heard = Math.max(heard, Number(fence))
    // Its own are displaced by whoever registers them.
    if (proxy !== id) yield* tell(edgeId, Number(fence))
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
      const waiting = pending.get(edgeId) ?? { claims: 0, told: 0 }
      waiting.claims++
      pending.set(edgeId, waiting)
      return waiting
    })

  /**
   * Passes on what was told meanwhile. Where that is newer than this claim, of which nobody knows yet, Redis is asked
   * again: its answer comes once whoever claimed has taken note of the claim.
   */
  const end = (edgeId: EdgeId, waiting: { claims: number; readonly told: number }) =>
    Effect.suspend(() => {
      if (--waiting.claims > 0) return Effect.void
      pending.delete(edgeId)
      if (waiting.told === 0) return Effect.void
      const told = tell(edgeId, waiting.told)
      return waiting.told > (held.get(edgeId) ?? 0) ? Effect.andThen(told, missed) : told
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
          (waiting) => end(edgeId, waiting)
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

/** Some 10 MB. */
const MAX_REMEMBERED = 50_000

const remember = (known: Map<EdgeId, string>, edgeId: EdgeId, url: string | undefined): void => {
  known.delete(edgeId)
  if (url === undefined) return
  known.set(edgeId, url)
  for (const oldest of known.keys()) {
    if (known.size <= MAX_REMEMBERED) break
    known.delete(oldest)
  }
}

const isEdgeId = Schema.is(EdgeId)

const unavailable = <A, E>(operation: string, effect: Effect.Effect<A, E>) =>
  Effect.mapError(effect, (cause) => new DirectoryUnavailable({ operation, cause }))
