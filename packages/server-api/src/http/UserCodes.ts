import { AccessDenied, AuthorizationPending, ExpiredToken, SlowDown } from "@edge-relay/domain/api/Problem"
import type * as Problem from "@edge-relay/domain/api/Problem"
import type { CodeNotOpen, PollRefused } from "@edge-relay/domain/pairing/Pairing"
import { sharedAddress } from "@edge-relay/domain/SharedAddress"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Effect, Option } from "effect"
import { HttpServerRequest } from "effect/http"
import type { Limits } from "./conventions/Limits.ts"

/** What is begun on one machine and decided in a browser, by the user code that the machine shows (RFC 8628). */

/** What counts as one caller who is not signed in. */
export const addressOf = (request: HttpServerRequest.HttpServerRequest) =>
  sharedAddress(Option.getOrElse(request.remoteAddress, () => "unknown"))

/** A user code that may be a guess: wrong ones count for who is signed in, and for where they are. */
export const guarded =
  (limits: Limits["Service"]) =>
  <A, R>(
    effect: Effect.Effect<A, CodeNotOpen | StorageUnavailable, R>
  ): Effect.Effect<
    A,
    CodeNotOpen | StorageUnavailable | Problem.StorageUnavailable | Problem.TooManyRequests,
    R | CurrentUser | HttpServerRequest.HttpServerRequest
  > =>
    Effect.gen(function* () {
      const { userId } = yield* CurrentUser
      const from = addressOf(yield* HttpServerRequest.HttpServerRequest)
      const isWrong = ({ _tag }: { readonly _tag: string }) => _tag === "CodeNotOpen"
      const byUser = limits.guess("userCodeTry", userId, effect, isWrong)
      return yield* limits.guess("userCodeTryByAddress", from, byUser, isWrong)
    })

/** RFC 8628 §3.5. */
export const refusePoll = ({
  reason
}: PollRefused): Effect.Effect<never, AccessDenied | AuthorizationPending | ExpiredToken | SlowDown> => {
  switch (reason) {
    case "authorization_pending":
      return Effect.fail(new AuthorizationPending({ detail: "Nobody has approved this yet." }))
    case "slow_down":
      return Effect.fail(new SlowDown({ detail: "Polled too soon: wait 5 s longer between polls." }))
    case "access_denied":
      return Effect.fail(new AccessDenied({ detail: "The request was denied." }))
    case "expired_token":
      return Effect.fail(
        new ExpiredToken({ detail: "The request has expired or was used. Begin a new one." })
      )
  }
}
