import { Clock, Duration, Effect, Exit } from "effect"
import { SqlError } from "effect/sql"
import { StoragePriority } from "@edge-relay/domain/StoragePriority"

/**
 * The turns of writers, one at a time. A turn has a deadline that counts from when it was asked for, so that
 * nobody waits longer for the queue and the file's lock together. Signed-in work goes before the rest
 * (`StoragePriority`); within a priority the order is that of arrival.
 */

/** A request that needs a write is answered within 3 s: this much, and the rest of its work. */
const patience = Duration.toMillis("2 seconds")

/**
 * After a wait that was in vain, others wait this long, until a write succeeds or {@link cautiousMillis} have
 * passed: a request's second write, such as its line in the audit log, is not worth another 2 s.
 */
const shortPatience = 100
const cautiousMillis = 5000

/** Writers of one priority that may wait: far more than are served in 2 s, and a few megabytes at most. */
const maxWaiting = 1000

interface Waiter {
  readonly deadline: number
  granted: boolean
  resume: () => void
}

export class WriterQueue {
  readonly #waiting: { readonly [P in "normal" | "low"]: Set<Waiter> } = { normal: new Set(), low: new Set() }
  #isTaken = false
  #deadline = 0
  #cautiousUntil = Number.NEGATIVE_INFINITY

  /** When whoever has the turn should have got the file's lock, by the clock's milliseconds. */
  get deadline(): number {
    return this.#deadline
  }

  /** Takes the turn, for `release` to give back. Fails with a `LockTimeoutError` where it takes too long. */
  readonly take: Effect.Effect<void, SqlError.SqlError> = Effect.uninterruptibleMask((restore) =>
    Effect.gen({ self: this }, function* () {
      const now = yield* Clock.currentTimeMillis
      const millis = now < this.#cautiousUntil ? shortPatience : patience
      const deadline = now + millis
      if (!this.#isTaken) {
        this.#isTaken = true
        this.#deadline = deadline
        return
      }
      const waiting = this.#waiting[yield* StoragePriority]
      if (waiting.size >= maxWaiting) return yield* tooLate("too many writes are waiting")
      const waiter: Waiter = { deadline, granted: false, resume: () => {} }
      waiting.add(waiter)
      yield* restore(
        Effect.callback<void>((resume) => {
          waiter.resume = () => resume(Effect.void)
          if (waiter.granted) waiter.resume()
        }).pipe(
          // Not inside the call that ends the turn before: a thousand turns would be in one another.
          Effect.andThen(Effect.yieldNow),
          Effect.timeoutOrElse({
            duration: millis,
            orElse: () => tooLate("a write has waited too long for its turn")
          })
        )
      ).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (Exit.isSuccess(exit)) return
            waiting.delete(waiter)
            // It was this one's turn at the moment in which it gave up.
            if (waiter.granted) this.release()
          })
        )
      )
    })
  )

  /** Whoever has the turn found the file locked by another process until its deadline, or found it free. */
  foundLocked(now: number): void {
    this.#cautiousUntil = now + cautiousMillis
  }
  foundFree(): void {
    this.#cautiousUntil = Number.NEGATIVE_INFINITY
  }

  /** Ends the turn: the next one begins. */
  release(): void {
    for (const waiting of [this.#waiting.normal, this.#waiting.low]) {
      for (const waiter of waiting) {
        waiting.delete(waiter)
        waiter.granted = true
        this.#deadline = waiter.deadline
        waiter.resume()
        return
      }
    }
    this.#isTaken = false
  }
}

const tooLate = (message: string) =>
  Effect.fail(
    new SqlError.SqlError({
      reason: new SqlError.LockTimeoutError({ message, operation: "acquire", cause: new Error(message) })
    })
  )
