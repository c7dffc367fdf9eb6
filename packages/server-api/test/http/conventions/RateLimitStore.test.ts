import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as RateLimitStore from "../../../src/http/conventions/RateLimitStore.ts"

const consume = (key: string) =>
  RateLimiter.RateLimiter.use((limiter) => limiter.consume({ key, limit: 3, window: "1 minute" }))

const layerLimiter = RateLimiter.layer.pipe(Layer.provide(RateLimitStore.layerMemory))

describe("RateLimitStore.layerMemory", () => {
  it.effect("takes so many in a window, and says when the next may come", () =>
    Effect.gen(function* () {
      for (const remaining of [2, 1, 0]) assert.strictEqual((yield* consume("a")).remaining, remaining)
      const { reason } = yield* Effect.flip(consume("a"))
      assert.strictEqual(reason._tag, "RateLimitExceeded")
      if (reason._tag !== "RateLimitExceeded") return
      assert.strictEqual(Duration.toSeconds(reason.retryAfter), 60)
      assert.strictEqual((yield* consume("b")).remaining, 2)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* consume("a")).remaining, 2)
    }).pipe(Effect.provide(layerLimiter))
  )

  it.effect("forgets the oldest of a hundred thousand addresses, and keeps the newest", () =>
    Effect.gen(function* () {
      const store = yield* RateLimiter.RateLimiterStore
      const count = (key: string) =>
        Effect.map(
          store.fixedWindow({ key, tokens: 1, refillRate: Duration.seconds(20), limit: 3 }),
          ([count]) => count
        )
      yield* count("first")
      for (let index = 0; index < 100_001; index++) yield* count(String(index))
      assert.strictEqual(yield* count("100000"), 2)
      assert.strictEqual(yield* count("first"), 1)
    }).pipe(Effect.provide(RateLimitStore.layerMemory))
  )
})
