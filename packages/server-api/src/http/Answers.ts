import * as Problem from "@edge-relay/domain/api/Problem"
import { Cause, Effect, Schema } from "effect"
import {
  Headers,
  HttpServerError,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import * as RequestId from "@edge-relay/server-kit/RequestId"
import * as Routes from "./Routes.ts"
import * as SecurityHeaders from "./conventions/SecurityHeaders.ts"

/**
 * What every answer has in common: an error is a problem (RFC 9457) with the request's id in it, and what is
 * personal is not stored. The last step before the socket, so that no handler can forget it.
 */
export const finish = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  options: { readonly publicUrl: URL }
) => {
  const headers = SecurityHeaders.ofAnswer(options.publicUrl)
  return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    app.pipe(
      Effect.catchCause((cause) => fromCause(cause, request)),
      Effect.map((response) => finishResponse(response, request, headers)),
      Effect.annotateLogs({ requestId: RequestId.of(request.headers) })
    )
  )
}

const fromCause = <E>(
  cause: Cause.Cause<E>,
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<HttpServerResponse.HttpServerResponse, E> => {
  // The client went away, or the server stops: there is nobody to answer.
  if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
  const error = Cause.squash(cause)
  if (HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound") {
    return Effect.succeed(unknownRoute(request))
  }
  if (HttpServerRespondable.isRespondable(error)) {
    return Effect.catchCause(HttpServerRespondable.toResponse(error), () => internalError(cause))
  }
  return internalError(cause)
}

const internalError = (cause: Cause.Cause<unknown>) =>
  Effect.as(Effect.logError("a request failed", cause), HttpServerResponse.empty({ status: 500 }))

const unknownRoute = (
  request: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse => {
  const allowed = Routes.methodsOf(request.url.split("?", 1)[0] ?? "")
  return allowed.length === 0
    ? HttpServerResponse.empty({ status: 404 })
    : HttpServerResponse.empty({ status: 405, headers: { allow: allowed.join(", ") } })
}

const finishResponse = (
  response: HttpServerResponse.HttpServerResponse,
  request: HttpServerRequest.HttpServerRequest,
  headers: { readonly [name: string]: string }
): HttpServerResponse.HttpServerResponse => {
  const answer = response.status < 400 ? response : toProblem(response, RequestId.of(request.headers))
  const isPersonal = request.url.startsWith("/api/") && answer.headers["cache-control"] === undefined
  return HttpServerResponse.setHeaders(
    answer,
    isPersonal ? { ...headers, "cache-control": "no-store" } : headers
  )
}

/**
 * Puts the request's id into a problem, and makes one of an error that came without anything for a program to
 * read. A page for people stays as it is, and so does what is JSON of its own (`/readyz`).
 */
const toProblem = (
  response: HttpServerResponse.HttpServerResponse,
  requestId: string
): HttpServerResponse.HttpServerResponse => {
  const { body } = response
  const contentType = body._tag === "Empty" ? "" : (body.contentType ?? "")
  const isProblem = contentType.startsWith("application/problem+json") && body._tag === "Uint8Array"
  if (!isProblem && contentType !== "" && !contentType.startsWith("text/plain")) return response
  const { type, title, status, code, ...rest } = isProblem
    ? decodeProblem(body.text ?? new TextDecoder().decode(body.body))
    : (plainProblems[response.status] ?? { ...internal, status: response.status })
  return HttpServerResponse.jsonUnsafe(
    { type, title, status, code, ...rest, requestId },
    {
      status: response.status,
      headers: Headers.removeMany(response.headers, ["content-length", "content-type"]),
      cookies: response.cookies,
      contentType: "application/problem+json"
    }
  )
}

const decodeProblem = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))
)

const plain = (
  problem: { readonly status: number; readonly title: string; readonly code: string },
  detail?: string
) => ({
  type: "about:blank",
  title: problem.title,
  status: problem.status,
  code: problem.code,
  ...(detail === undefined ? {} : { detail })
})

const internal = plain(new Problem.InternalError({}))

/** For what refuses a request before any handler has it. */
const plainProblems: { readonly [status: number]: typeof internal } = {
  400: plain(new Problem.InvalidRequest({})),
  404: plain(new Problem.NotFound({}), "There is nothing at this address."),
  405: plain(new Problem.MethodNotAllowed({})),
  413: plain(new Problem.PayloadTooLarge({})),
  415: plain(new Problem.UnsupportedMediaType({})),
  500: internal,
  503: plain(new Problem.Unavailable({}))
}
