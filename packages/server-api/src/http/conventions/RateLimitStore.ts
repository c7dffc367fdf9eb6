import { Clock, Duration, Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"

/**
 * Counts of this process, in bounded memory. Effect's own store keeps every key that it has ever seen; keys are
 * addresses, of which an attacker has as many as there are.
 */
export const layerMemory = Layer.effect(
  RateLimiter.RateLimiterStore,
  Effect.gen(function* () {
    const store = yield* RateLimiter.RateLimiterStore
    const clock = yield* Clock.Clock
    /** In the order in which they were begun, which is about the order in which they end. */
    const counters = new Map<string, { count: number; expiresAt: number }>()

    const dropOld = (now: number): void => {
      for (const [key, { expiresAt }] of counters) {
        if (expiresAt > now && counters.size <= maxKeys) return
        counters.delete(key)
      }
    }

    return RateLimiter.RateLimiterStore.of({
      ...store,
      fixedWindow: ({ key, limit, refillRate, tokens }) =>
        Effect.sync(() => {
          const now = clock.currentTimeMillisUnsafe()
          dropOld(now)
          let counter = counters.get(key)
          if (counter === undefined || counter.expiresAt <= now) {
            counter = { count: 0, expiresAt: now }
            counters.delete(key)
            counters.set(key, counter)
          }
          const count = counter.count + tokens
          if (limit !== undefined && count > limit) return [count, counter.expiresAt - now] as const
          counter.count = count
          counter.expiresAt += Duration.toMillis(refillRate) * tokens
          return [count, counter.expiresAt - now] as const
        })
    })
  })
).pipe(Layer.provide(RateLimiter.layerStoreMemory))

/** Some 10 MB. Beyond, the oldest counts are forgotten first. */
const maxKeys = 100_000
