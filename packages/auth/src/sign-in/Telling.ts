import * as Problem from "@edge-relay/domain/api/Problem"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Effect } from "effect"
import { HttpEffect, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { type Failure, pageOf, respond, wantsPage } from "./SignInPage.ts"

/** How the handlers of sign-in tell what went wrong. */

export const withHeader = (name: string, value: string) =>
  HttpEffect.appendPreResponseHandler((_request, response) =>
    Effect.succeed(HttpServerResponse.setHeader(response, name, value))
  )

/** A page for a person, a problem for a program. `Retry-After` for both. */
export const tell = Effect.fnUntraced(function* <Problem>(
  failure: Failure,
  problem: Problem,
  request: HttpServerRequest.HttpServerRequest,
  returnTo?: string
) {
  const seconds =
    "retryAfterSeconds" in failure ? failure.retryAfterSeconds : StorageUnavailable.retryAfterSeconds
  if (failure._tag !== "SignInFailed") yield* withHeader("retry-after", String(seconds))
  return wantsPage(request.headers["accept"])
    ? respond(pageOf(failure, returnTo))
    : yield* Effect.fail(problem)
})

/**
 * For what changes something though it is a GET, as sign-in has to: a HEAD, which link checkers and previews send,
 * must not (RFC 9110 §9.2.1).
 */
export const unlessHead = <E, R>(
  request: HttpServerRequest.HttpServerRequest,
  answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) =>
  request.method === "HEAD"
    ? Effect.succeed(HttpServerResponse.empty({ status: 405, headers: { allow: "GET" } }))
    : answer

export const storageUnavailable = () =>
  new Problem.StorageUnavailable({ detail: "The database does not answer. Nothing was changed." })

/** The store has said in the log that it is away, and does so not for each request. */
export const orUnavailable = <A>(effect: Effect.Effect<A, StorageUnavailable>) =>
  Effect.catch(effect, () =>
    Effect.andThen(
      withHeader("retry-after", String(StorageUnavailable.retryAfterSeconds)),
      Effect.fail(storageUnavailable())
    )
  )
