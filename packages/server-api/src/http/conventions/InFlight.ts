import { Deferred, Effect } from "effect"

/**
 * Tries that are under way, by key. Whoever may fail `n` times more has `n` of them at once: the rest waits until
 * one has ended, so that a burst of guesses gets no further than the same guesses one after another.
 */
export class InFlight {
  readonly #keys = new Map<string, { count: number; ended: Deferred.Deferred<void> }>()

  /** Runs `effect` when `remaining`, asked anew each time, leaves room for one more; or fails as that does. */
  readonly run = <A, E, R, E2, R2>(
    key: string,
    remaining: Effect.Effect<number, E2, R2>,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | E2, R | R2> =>
    Effect.flatMap(remaining, (most) => {
      const running = this.#keys.get(key)
      if (running === undefined || running.count < most) {
        return Effect.acquireUseRelease(
          Effect.sync(() => this.#begin(key)),
          () => effect,
          () => this.#end(key)
        )
      }
      return Effect.andThen(Deferred.await(running.ended), this.run(key, remaining, effect))
    })

  #begin(key: string): void {
    const running = this.#keys.get(key)
    if (running === undefined) this.#keys.set(key, { count: 1, ended: Deferred.makeUnsafe() })
    else running.count++
  }

  #end(key: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const running = this.#keys.get(key)
      if (running === undefined) return Effect.void
      const { ended } = running
      running.count--
      running.ended = Deferred.makeUnsafe()
      if (running.count === 0) this.#keys.delete(key)
      return Effect.asVoid(Deferred.succeed(ended, undefined))
    })
  }
}
