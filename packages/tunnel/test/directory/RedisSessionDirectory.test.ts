import { assert, describe, it, layer } from "@effect/vitest"
import { NodeRedis } from "@effect/platform-node"
import { Context, Effect, Fiber, Latch, Layer, Logger, Option, Queue, Redacted, Stream } from "effect"
import { Redis } from "effect/persistence"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import * as RedisConnection from "@edge-relay/server-kit/RedisConnection"
import * as RedisSessionDirectory from "@edge-relay/tunnel/directory/RedisSessionDirectory"
import * as RedisSessionDirectoryReader from "@edge-relay/tunnel/directory/RedisSessionDirectoryReader"
import { type Claim, SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import * as Scripts from "@edge-relay/tunnel/directory/SessionDirectoryScripts"
import { newEdge, suite } from "@edge-relay/testkit/contract/SessionDirectoryContract"
import { eventually, eventuallyEffect } from "@edge-relay/testkit/Eventually"
import { within } from "@edge-relay/testkit/Within"
import { isInstalled, RedisServer } from "@edge-relay/testkit/RedisServer"

const urlA = "http://10.0.0.1:3801"
const urlB = "http://10.0.0.2:3801"

/** Of two proxies, each with a seed of its own; `npm run interleavings` asks for more. */
const interleavings = Number(process.env["DIRECTORY_INTERLEAVINGS"] ?? 6)

const quick = { leaseMillis: 600, beatMillis: 100 }

const connection = (url: string) =>
  RedisConnection.layer(NodeRedis.layer(RedisConnection.clientOptions(Redacted.make(url))))

/** Not running yet. */
const newServer = Effect.acquireDisposable(Effect.promise(() => RedisServer.create()))

const server = Effect.tap(newServer, (redis) => Effect.promise(() => redis.start()))

class SharedRedis extends Context.Service<SharedRedis, RedisServer>()(
  "@edge-relay/tunnel/test/SharedRedis"
) {}

/** A proxy's directory, on a connection of its own, that may be tampered with. */
const proxy = Effect.fnUntraced(function* (
  redisUrl: string,
  options: Partial<RedisSessionDirectory.RedisSessionDirectoryOptions> = {},
  tamper: (redis: Redis.Redis["Service"]) => Redis.Redis["Service"] = (redis) => redis
) {
  const redis = Layer.effect(Redis.Redis, Effect.map(Redis.Redis, tamper)).pipe(
    Layer.provide(connection(redisUrl))
  )
  const built = yield* Layer.build(
    RedisSessionDirectory.layer({ proxyUrl: urlA, ...quick, ...options }).pipe(
      Layer.provide(Layer.fresh(redis)),
      Layer.provide(Logger.layer([]))
    )
  )
  return Context.get(built, SessionDirectory)
})

/** Keeps what a proxy holds as `LiveTunnels` does: a claim of another with a greater number closes it. */
const keeper = Effect.fnUntraced(function* (directory: SessionDirectory["Service"]) {
  const held = new Map<EdgeId, number>()
  const close = (edgeId: EdgeId, fence: number) =>
    Effect.suspend(() => {
      if (held.get(edgeId) === fence) held.delete(edgeId)
      return Effect.ignore(directory.release({ edgeId, fence }))
    })
  yield* directory.claims.pipe(
    Stream.runForEach(({ edgeId, fence }: Claim) => {
      const mine = held.get(edgeId)
      return mine !== undefined && mine < fence ? close(edgeId, mine) : Effect.void
    }),
    Effect.forkScoped({ startImmediately: true })
  )
  return {
    held,
    close,
    claim: Effect.fnUntraced(function* (edgeId: EdgeId) {
      const { fence } = yield* directory.claim(edgeId)
      const older = held.get(edgeId)
      // As its session store has it: the newer of two tunnels here displaces the other.
      if (older === undefined || older < fence) held.set(edgeId, fence)
      return fence
    })
  }
})

/** Numbers from 0 to below `max`, the same ones for a seed (mulberry32). */
const dice = (seed: number) => (max: number) => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % max
}

/** Subscribes to what comes so many milliseconds late, or, where that is undefined, never. */
const heard =
  (redis: Redis.Redis["Service"], delay: () => number | undefined): Redis.Redis["Service"]["subscribe"] =>
  (channel) =>
    Effect.gen(function* () {
      const source = yield* redis.subscribe(channel)
      const target = yield* Queue.unbounded<Redis.RedisMessage, Redis.RedisError>()
      yield* Stream.fromQueue(source).pipe(
        Stream.runForEach((message) => {
          const millis = delay()
          return millis === undefined ? Effect.void : Effect.delay(Queue.offer(target, message), millis)
        }),
        Effect.ignore,
        Effect.forkScoped
      )
      return target
    })

/** Every answer and every message comes late, each way of its own; some messages never come. */
const unreliable =
  (roll: (max: number) => number, lossPercent: number) =>
  (redis: Redis.Redis["Service"]): Redis.Redis["Service"] => {
    const late = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.suspend(() => Effect.delay(effect, roll(8))).pipe(
        Effect.tap(() => Effect.suspend(() => Effect.sleep(roll(8))))
      )
    return Redis.Redis.of({
      ...redis,
      eval:
        (script) =>
        (...params) =>
          late(redis.eval(script)(...params)),
      subscribe: heard(redis, () => (roll(100) < lossPercent ? undefined : roll(4) === 0 ? 30 : 0))
    })
  }

/** Two proxies claim and give up the same few edges, several at once; in the end the newest claim has won. */
const interleaving = Effect.fnUntraced(function* (
  redisUrl: string,
  cluster: string,
  roll: (max: number) => number,
  lossPercent: number
) {
  const tamper = unreliable(roll, lossPercent)
  const proxies = yield* Effect.forEach([urlA, urlB], (proxyUrl) =>
    Effect.gen(function* () {
      // Long enough for a lease to stand on a machine that does much else.
      const directory = yield* proxy(redisUrl, { cluster, proxyUrl, leaseMillis: 10_000 }, tamper)
      return { proxyUrl, directory, kept: yield* keeper(directory) }
    })
  )
  const edges = yield* Effect.replicateEffect(newEdge, 3)
  const newest = new Map<EdgeId, { readonly fence: number; readonly proxyUrl: string }>()
  const givenUp = new Set<number>()
  const step = Effect.suspend(() => {
    const edgeId = pick(edges, roll)
    const { kept, proxyUrl } = pick(proxies, roll)
    const mine = kept.held.get(edgeId)
    if (mine !== undefined && roll(4) === 0) {
      givenUp.add(mine)
      return kept.close(edgeId, mine)
    }
    return Effect.map(kept.claim(edgeId), (fence) => {
      if (fence > (newest.get(edgeId)?.fence ?? 0)) newest.set(edgeId, { fence, proxyUrl })
    })
  })
  yield* Effect.replicateEffect(step, 80, { concurrency: 4, discard: true })
  for (const edgeId of edges) {
    const last = newest.get(edgeId)
    const holders = () =>
      proxies.flatMap(({ kept, proxyUrl }) => {
        const fence = kept.held.get(edgeId)
        return fence === undefined ? [] : [{ fence, proxyUrl }]
      })
    yield* eventuallyEffect(
      `one holder of ${edgeId} at most, the newest (${JSON.stringify(last)}), and everybody to know it`,
      Effect.gen(function* () {
        const [holder, ...more] = holders()
        const places = yield* Effect.forEach(proxies, ({ directory }) => directory.locate(edgeId))
        const agreed = places.every((place) => Option.getOrUndefined(place) === holder?.proxyUrl)
        const isNewest = last === undefined || givenUp.has(last.fence) || holder?.fence === last.fence
        return more.length === 0 && agreed && isNewest
      })
    )
  }
})

const pick = <A>(from: ReadonlyArray<A>, roll: (max: number) => number): A => {
  const [picked] = from.slice(roll(from.length))
  if (picked === undefined) throw new Error("nothing to pick from")
  return picked
}

const located = (directory: SessionDirectory["Service"], edgeId: EdgeId, url: string | undefined) =>
  eventuallyEffect(
    `${edgeId} to be at ${url}`,
    Effect.map(
      Effect.orElseSucceed(directory.locate(edgeId), Option.none),
      (found) => Option.getOrUndefined(found) === url
    )
  )

const accepting = (directory: SessionDirectory["Service"], wished: boolean) =>
  eventuallyEffect(
    `isAccepting to be ${wished}`,
    Effect.map(directory.isAccepting, (is) => is === wished)
  )

layer(SessionDirectory.layerMemory(urlA))((it) => suite("memory", it, urlA))

describe.skipIf(!isInstalled)("with a real Redis", () => {
  const shared = Layer.effect(SharedRedis, server)
  const directory = Layer.unwrap(
    Effect.map(SharedRedis, ({ url }) =>
      RedisSessionDirectory.layer({ proxyUrl: urlA }).pipe(Layer.provide(connection(url)))
    )
  )

  layer(directory.pipe(Layer.provide(shared)), { excludeTestServices: true })((it) =>
    suite("Redis", it, urlA)
  )

  layer(shared, { excludeTestServices: true })("RedisSessionDirectory", (it) => {
    const two = Effect.fnUntraced(function* (cluster: string) {
      const { url } = yield* SharedRedis
      return {
        a: yield* proxy(url, { cluster, proxyUrl: urlA }),
        b: yield* proxy(url, { cluster, proxyUrl: urlB })
      }
    })

    it.effect("gives an edge to the proxy that claimed it last, and tells the others", () =>
      Effect.gen(function* () {
        const { a, b } = yield* two("moves")
        const kept = yield* keeper(a)
        const edgeId = yield* newEdge
        const old = yield* kept.claim(edgeId)
        yield* located(b, edgeId, urlA)
        const { fence } = yield* b.claim(edgeId)
        assert.isAbove(fence, old)
        yield* eventually("A to close it", () => !kept.held.has(edgeId))
        assert.isFalse(yield* a.release({ edgeId, fence: old }))
        yield* located(a, edgeId, urlB)
        assert.isTrue(yield* b.release({ edgeId, fence }))
        yield* located(a, edgeId, undefined)
      })
    )

    it.effect("lists the proxies whose lease stands, and forgets what the others held", () =>
      Effect.gen(function* () {
        const { url } = yield* SharedRedis
        const cluster = "lease"
        let cut = false
        const a = yield* proxy(url, { cluster, proxyUrl: urlA }, (redis) => ({
          ...redis,
          eval:
            (script) =>
            (...params) =>
              cut
                ? Effect.fail(new Redis.RedisError({ cause: new Error("cut off") }))
                : redis.eval(script)(...params)
        }))
        const b = yield* proxy(url, { cluster, proxyUrl: urlB })
        const kept = yield* keeper(a)
        const [stays, moves] = [yield* newEdge, yield* newEdge]
        yield* kept.claim(stays)
        yield* kept.claim(moves)
        assert.sameMembers([...(yield* b.proxies)], [urlA, urlB])

        cut = true
        yield* accepting(a, false)
        yield* located(b, stays, undefined)
        assert.deepStrictEqual(yield* b.proxies, [urlB])
        assert.strictEqual((yield* Effect.flip(a.claim(stays)))._tag, "DirectoryUnavailable")
        yield* b.claim(moves)

        cut = false
        yield* accepting(a, true)
        yield* located(b, stays, urlA)
        yield* located(a, moves, urlB)
        yield* eventually("A to close what moved", () => !kept.held.has(moves))
      })
    )

    it.effect("reads the numbers again when it has missed messages", () =>
      Effect.gen(function* () {
        const { url } = yield* SharedRedis
        const cluster = "missed"
        let deaf = false
        const a = yield* proxy(url, { cluster, proxyUrl: urlA }, (redis) => ({
          ...redis,
          subscribe: heard(redis, () => (deaf ? undefined : 0))
        }))
        const b = yield* proxy(url, { cluster, proxyUrl: urlB })
        const kept = yield* keeper(a)
        const [first, second] = [yield* newEdge, yield* newEdge]
        yield* kept.claim(first)
        yield* kept.claim(second)
        deaf = true
        yield* b.claim(first)
        yield* eventually("a beat to show it", () => !kept.held.has(first))
        yield* b.claim(second)
        // No beat has shown it yet; the next message does.
        deaf = false
        yield* b.claim(yield* newEdge)
        yield* eventually("a message to show it", () => !kept.held.has(second))
        yield* located(a, second, urlB)
      })
    )

    it.effect("gives way to a claim that was made, and told, before its own was answered", () =>
      Effect.gen(function* () {
        const { url } = yield* SharedRedis
        const cluster = "overtaken"
        const answer = yield* Latch.make(false)
        const a = yield* proxy(url, { cluster, proxyUrl: urlA }, (redis) => ({
          ...redis,
          eval: (script) => {
            const run = redis.eval(script)
            return (...params) =>
              Object.is(script, Scripts.claim) ? Effect.tap(run(...params), answer.await) : run(...params)
          }
        }))
        const b = yield* proxy(url, { cluster, proxyUrl: urlB })
        const kept = yield* keeper(a)
        const edgeId = yield* newEdge
        const claiming = yield* Effect.forkScoped(kept.claim(edgeId))
        yield* located(b, edgeId, urlA)
        const told = yield* Stream.runHead(a.claims).pipe(Effect.forkScoped({ startImmediately: true }))
        yield* b.claim(edgeId)
        // Of another edge: what came before it has been told by then.
        yield* b.claim(yield* newEdge)
        yield* Fiber.join(told)
        yield* answer.open
        yield* Fiber.join(claiming)
        yield* eventually("A to close it", () => !kept.held.has(edgeId))
        yield* located(a, edgeId, urlB)
      })
    )

    it.effect(
      "holds the older of two claims at once where the newer was answered, and given up, before it",
      () =>
        Effect.gen(function* () {
          const { url } = yield* SharedRedis
          const answer = yield* Latch.make(false)
          let claims = 0
          const a = yield* proxy(url, { cluster: "overlapping" }, (redis) => ({
            ...redis,
            eval: (script) => {
              const run = redis.eval(script)
              return (...params) =>
                Object.is(script, Scripts.claim) && ++claims === 1
                  ? Effect.tap(run(...params), answer.await)
                  : run(...params)
            }
          }))
          const edgeId = yield* newEdge
          const older = yield* Effect.forkScoped(a.claim(edgeId))
          yield* located(a, edgeId, urlA)
          const newer = yield* a.claim(edgeId)
          assert.isTrue(yield* a.release(newer))
          yield* located(a, edgeId, undefined)
          yield* answer.open
          assert.isBelow((yield* Fiber.join(older)).fence, newer.fence)
          yield* located(a, edgeId, urlA)
        })
    )

    it.effect(
      "hears of a claim whose message is lost while its own is not answered, and all else is held again",
      () =>
        Effect.gen(function* () {
          const { url } = yield* SharedRedis
          const cluster = "unanswered"
          const answer = yield* Latch.make(false)
          let deaf = true
          let lost = 0
          let holds = 0
          // Beats are far apart: the gap between two messages is what makes it hold all again.
          const a = yield* proxy(url, { cluster, leaseMillis: 60_000, beatMillis: 60_000 }, (redis) => ({
            ...redis,
            eval: (script) => {
              const run = redis.eval(script)
              return (...params) => {
                if (Object.is(script, Scripts.claim)) return Effect.tap(run(...params), answer.await)
                return Effect.tap(run(...params), () =>
                  Effect.sync(() => {
                    if (Object.is(script, Scripts.hold)) holds++
                  })
                )
              }
            },
            subscribe: heard(redis, () => {
              if (!deaf) return 0
              lost++
              return undefined
            })
          }))
          const b = yield* proxy(url, { cluster, proxyUrl: urlB })
          const kept = yield* keeper(a)
          const edgeId = yield* newEdge
          const claiming = yield* Effect.forkScoped(kept.claim(edgeId))
          yield* located(b, edgeId, urlA)
          yield* b.claim(edgeId)
          yield* eventually("both messages to be lost", () => lost === 2)
          deaf = false
          const before = holds
          yield* b.claim(yield* newEdge)
          yield* eventually("A to hold all again", () => holds > before)
          yield* answer.open
          yield* Fiber.join(claiming)
          yield* eventually("A to close it", () => !kept.held.has(edgeId))
          yield* located(a, edgeId, urlB)
        })
    )

    it.effect("knows nothing of another cluster in the same Redis", () =>
      Effect.gen(function* () {
        const { url } = yield* SharedRedis
        const a = yield* proxy(url, { cluster: "one", proxyUrl: urlA })
        const b = yield* proxy(url, { cluster: "two", proxyUrl: urlB })
        const { edgeId } = yield* a.claim(yield* newEdge)
        yield* located(a, edgeId, urlA)
        assert.deepStrictEqual(yield* b.locate(edgeId), Option.none())
        assert.deepStrictEqual([yield* a.proxies, yield* b.proxies], [[urlA], [urlB]])
      })
    )

    it.effect("tells a newer claim again until the older is given up", () =>
      Effect.gen(function* () {
        const { a, b } = yield* two("again")
        const older = yield* a.claim(yield* newEdge)
        const told = yield* a.claims.pipe(
          Stream.filter(({ edgeId }) => edgeId === older.edgeId),
          Stream.take(3),
          Stream.runCollect,
          Effect.forkScoped({ startImmediately: true })
        )
        const newer = yield* b.claim(older.edgeId)
        assert.deepStrictEqual(Array.from(yield* Fiber.join(told)), [newer, newer, newer])
      })
    )

    for (const [what, loss] of [
      ["that come late", 0],
      ["of which a third is lost", 33]
    ] as const) {
      it.effect(
        `leaves an edge with its newest claim, whatever two proxies do and with messages ${what}`,
        () =>
          Effect.gen(function* () {
            const { url } = yield* SharedRedis
            yield* Effect.forEach(
              Array.from({ length: interleavings }, (_, at) => at + 1),
              (seed) => Effect.scoped(interleaving(url, `${loss}-${seed}`, dice(seed * 7919 + loss), loss)),
              { concurrency: 3, discard: true }
            )
          }),
        interleavings > 6 ? 1_200_000 : 120_000
      )
    }
  })

  it.live(
    "starts without Redis, and takes tunnels when it comes",
    () =>
      Effect.gen(function* () {
        const redis = yield* newServer
        const a = yield* proxy(redis.url)
        assert.isFalse(yield* a.isAccepting)
        const edgeId = yield* newEdge
        assert.strictEqual((yield* Effect.flip(a.claim(edgeId)))._tag, "DirectoryUnavailable")
        assert.strictEqual((yield* Effect.flip(a.proxies))._tag, "DirectoryUnavailable")
        yield* Effect.promise(() => redis.start())
        yield* accepting(a, true)
        yield* a.claim(edgeId)
        yield* located(a, edgeId, urlA)
      }),
    20_000
  )

  it.live(
    "tells a Redis that has lost its memory what it holds, under numbers that go on",
    () =>
      Effect.gen(function* () {
        const redis = yield* server
        const [a, b] = [yield* proxy(redis.url), yield* proxy(redis.url, { proxyUrl: urlB })]
        const reader = Context.get(
          yield* Layer.build(RedisSessionDirectoryReader.layer().pipe(Layer.provide(connection(redis.url)))),
          SessionDirectory
        )
        const kept = yield* keeper(a)
        const [one, other] = [yield* newEdge, yield* newEdge]
        const before = yield* kept.claim(one)
        yield* located(reader, one, urlA)
        yield* Effect.promise(() => redis.stop())
        yield* accepting(a, false)
        assert.deepStrictEqual(yield* reader.locate(one), Option.some(urlA))
        assert.strictEqual((yield* Effect.flip(reader.locate(other)))._tag, "DirectoryUnavailable")
        assert.isTrue(kept.held.has(one))

        yield* Effect.promise(() => redis.start())
        yield* Effect.all([accepting(a, true), accepting(b, true)])
        yield* located(b, one, urlA)
        assert.isTrue(kept.held.has(one))
        assert.isAbove((yield* b.claim(one)).fence, before)
        yield* eventually("A to close it", () => !kept.held.has(one))
        yield* located(a, one, urlB)
      }),
    20_000
  )

  it.live(
    "takes no tunnels while Redis stands still, and a claim that was given up displaces nobody afterwards",
    () =>
      Effect.gen(function* () {
        const redis = yield* server
        const [a, b] = [yield* proxy(redis.url), yield* proxy(redis.url, { proxyUrl: urlB })]
        const kept = yield* keeper(b)
        const edgeId = yield* newEdge
        yield* kept.claim(edgeId)
        redis.freeze()
        assert.strictEqual((yield* Effect.flip(a.claim(edgeId)))._tag, "DirectoryUnavailable")
        yield* accepting(a, false)
        redis.thaw()
        yield* Effect.all([accepting(a, true), accepting(b, true)])
        yield* located(a, edgeId, urlB)
        assert.isTrue(kept.held.has(edgeId))
      }),
    20_000
  )

  it.live(
    "ends in a few seconds while Redis stands still",
    () =>
      Effect.gen(function* () {
        const redis = yield* server
        const frozen = Effect.scoped(
          Effect.andThen(
            proxy(redis.url),
            Effect.sync(() => redis.freeze())
          )
        )
        yield* within(8, "the end", frozen)
      }),
    60_000
  )
})
