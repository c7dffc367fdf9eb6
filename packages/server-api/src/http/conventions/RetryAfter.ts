import { Effect } from "effect"
import { HttpEffect, type HttpServerRequest, HttpServerResponse } from "effect/http"

/** Fails, and has the answer say when to come again (RFC 9110 §10.2.3). */
export const fail = <E>(
  error: E,
  seconds: number
): Effect.Effect<never, E, HttpServerRequest.HttpServerRequest> =>
  Effect.andThen(
    HttpEffect.appendPreResponseHandler((_request, response) =>
      Effect.succeed(HttpServerResponse.setHeader(response, "retry-after", String(seconds)))
    ),
    Effect.fail(error)
  )
