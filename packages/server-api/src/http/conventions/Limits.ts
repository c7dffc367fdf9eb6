import { StorageUnavailable, TooManyRequests } from "@edge-relay/domain/api/Problem"
import type { UserId } from "@edge-relay/domain/ids/UserId"
import * as Domain from "@edge-relay/domain/StorageUnavailable"
import { Context, Duration, Effect, Layer } from "effect"
import type { HttpServerRequest } from "effect/http"
import { RateLimiter } from "effect/persistence"
import { InFlight } from "./InFlight.ts"
import * as RetryAfter from "./RetryAfter.ts"

/**
 * How often something may be tried. The counts are kept in memory, or in Redis for all servers together. A refusal
 * sets a header of the answer.
 *
 * @effect-expect-leaking HttpServerRequest
 */
export class Limits extends Context.Service<
  Limits,
  {
    /** Counts one try by `key`; fails with `Retry-After` set where there have been too many. */
    readonly check: (
      limit: LimitName,
      key: string
    ) => Effect.Effect<void, Refusal, HttpServerRequest.HttpServerRequest>
    /**
     * Runs what may be a guess: only a failure that `isWrong` names counts as a try by `key`, so that a thousand
     * machines behind one address can be paired in a minute. While there have been too many, nothing is run.
     */
    readonly guess: <A, E, R>(
      limit: LimitName,
      key: string,
      effect: Effect.Effect<A, E, R>,
      isWrong: (error: E) => boolean
    ) => Effect.Effect<A, E | Refusal, R | HttpServerRequest.HttpServerRequest>
    /**
     * Counts one change by somebody who is signed in. Where counts are away it is let through: it is no guess, and
     * whoever wants to sign out must be able to.
     */
    readonly checkChange: (
      userId: UserId
    ) => Effect.Effect<void, TooManyRequests, HttpServerRequest.HttpServerRequest>
  }
>()("@edge-relay/server-api/http/conventions/Limits") {
  static readonly layer = Layer.effect(
    Limits,
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter

      const inFlight = new InFlight()

      const count = (name: LimitName, key: string, tokens = 1) => {
        const { limit, window } = limits[name]
        return limiter.consume({ key: `${name}:${key}`, limit, window, tokens })
      }

      const check = (name: LimitName, key: string, tokens = 1) =>
        Effect.catch(count(name, key, tokens), ({ reason }) =>
          reason._tag === "RateLimitExceeded" ? refuse(reason.retryAfter) : cannotCount(reason)
        )

      return Limits.of({
        check: (name, key) => Effect.asVoid(check(name, key)),
        guess: (name, key, effect, isWrong) => {
          const remaining = Effect.flatMap(check(name, key, 0), ({ remaining, resetAfter }) =>
            remaining > 0 ? Effect.succeed(remaining) : refuse(resetAfter)
          )
          const counted = Effect.tapError(effect, (error) =>
            isWrong(error) ? check(name, key) : Effect.void
          )
          return inFlight.run(`${name}:${key}`, remaining, counted)
        },
        checkChange: (userId) =>
          Effect.catch(count("change", userId), ({ reason }) =>
            reason._tag === "RateLimitExceeded"
              ? refuse(reason.retryAfter)
              : Effect.logWarning("a change is not counted", reason)
          )
      })
    })
  )
}

/**
 * Codes are guessed by trying, so every wrong one counts: by address (28⁸ codes, 10 wrong ones a minute), and for
 * user codes by who is signed in as well. What is made is limited by who makes it. Of polls, those count that come
 * too soon or for nothing, of many edges behind one address; an open request is polled every 5 seconds by its edge.
 * Ten changes a second are a script at work; each is a transaction and a line in the audit log.
 */
const limits = {
  pairingTry: { limit: 10, window: Duration.minutes(1) },
  pairingBegin: { limit: 20, window: Duration.minutes(1) },
  pairingPoll: { limit: 60, window: Duration.minutes(1) },
  codeCreate: { limit: 60, window: Duration.minutes(1) },
  userCodeTry: { limit: 30, window: Duration.minutes(1) },
  userCodeTryByAddress: { limit: 60, window: Duration.minutes(1) },
  change: { limit: 600, window: Duration.minutes(1) }
} satisfies { readonly [name: string]: { readonly limit: number; readonly window: Duration.Duration } }

export type LimitName = keyof typeof limits

type Refusal = TooManyRequests | StorageUnavailable

type Refused = Effect.Effect<never, Refusal, HttpServerRequest.HttpServerRequest>

const refuse = (retryAfter: Duration.Duration) => {
  const seconds = Math.max(1, Math.ceil(Duration.toSeconds(retryAfter)))
  return RetryAfter.fail(
    new TooManyRequests({ detail: `Too many tries. Try again in ${seconds} s.` }),
    seconds
  )
}

/** Uncounted tries would be unlimited ones. */
const cannotCount = (reason: RateLimiter.RateLimitStoreError): Refused =>
  Effect.andThen(
    Effect.logError("rate limits cannot be counted", reason),
    RetryAfter.fail(
      new StorageUnavailable({ detail: "Rate limits cannot be counted at the moment." }),
      Domain.StorageUnavailable.retryAfterSeconds
    )
  )
