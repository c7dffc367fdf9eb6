/**
 * Makes every error of the simulated edge a problem (RFC 9457): what does not decode, what no route takes, what the
 * HTTP layer refuses by itself, and what is our own fault. Also keeps JSON bodies within bounds before anything
 * reads them, and gives every answer its `X-Request-Id`.
 */
import { EdgeApi, maxJsonBytes } from "@edge-relay/domain/edge-api/EdgeApi"
import {
  type EdgeProblemCode,
  type FieldProblem,
  InvalidRequest,
  problems,
  RequestValidation
} from "@edge-relay/domain/edge-api/EdgeProblem"
import * as JsonGuard from "@edge-relay/server-api/http/conventions/JsonGuard"
import { Cause, Effect, SchemaIssue } from "effect"
import { SecureRandom } from "effect/crypto"
import {
  FindMyWay,
  HttpIncomingMessage,
  HttpRouter,
  HttpServerError,
  HttpServerRequest,
  HttpServerResponse,
  ProblemDetails
} from "effect/http"
import { HttpApiMiddleware } from "effect/http-api"

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

/** Requests that do not decode: 400, with the fields. */
export const layerValidation = HttpApiMiddleware.layerSchemaErrorTransform(RequestValidation, (error) => {
  // An answer that does not encode is our fault, not the client's.
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.fail(error)
  const errors = formatIssue(error.cause.issue).issues.map(({ path, message }) => ({
    path: (path ?? [])
      .map((segment) => String(typeof segment === "object" ? segment.key : segment))
      .join("."),
    message
  }))
  const [first] = errors
  const detail =
    first === undefined || first.path === "" ? (first?.message ?? "") : `${first.path}: ${first.message}`
  return Effect.fail(new InvalidRequest({ detail, errors }))
})

export const layer = HttpRouter.middleware(
  Effect.gen(function* () {
    const random = yield* SecureRandom.SecureRandom
    return (handler) =>
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const sent = request.headers["x-request-id"] ?? ""
        const requestId = /^[\x21-\x7e]{1,128}$/.test(sent) ? sent : yield* random.uuidV7()
        const refused = yield* refusedBody(request)
        const response = refused ?? (yield* answered(request, handler))
        return withRequestId(asProblem(request, response), requestId)
      })
  }),
  { global: true }
)

const answered = <E, R>(
  request: HttpServerRequest.HttpServerRequest,
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> =>
  // Where it was interrupted its client is gone, or the edge closes: there is nobody to answer.
  Effect.catchCauseIf(
    handler,
    (cause) => !Cause.hasInterruptsOnly(cause),
    (cause) =>
      Effect.flatMap(HttpServerError.causeResponse(cause), ([response]) =>
        response.status < 500
          ? Effect.succeed(response)
          : Effect.as(Effect.logError(`${request.method} ${request.url} failed`, cause), response)
      )
  )

/** Reads and judges a JSON body; the handler then finds it in memory. */
const refusedBody = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
  const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase()
  if (type !== undefined && type !== "application/json") return undefined
  if (request.method === "GET" || request.method === "HEAD") return undefined
  if (type === undefined && request.headers["content-length"] === undefined) return undefined
  if (Number(request.headers["content-length"] ?? 0) > maxJsonBytes) return tooLarge
  return yield* request.arrayBuffer.pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, BigInt(maxJsonBytes)),
    Effect.map(refusedJson),
    Effect.catchTag("HttpServerError", ({ reason }) =>
      Effect.succeed(
        reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
          ? tooLarge
          : problem("invalid_request", "the body broke off")
      )
    )
  )
})

/** What every JSON body is refused for, before its schema is asked: RFC 8259 §8.1, and two keys of one name. */
const refusedJson = (bytes: ArrayBuffer) => {
  try {
    const fault = JsonGuard.check(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
    if (fault === undefined) return undefined
    return problem("invalid_request", `${fault.path} ${fault.message}`.trim(), [fault])
  } catch {
    return problem("invalid_request", "the body is not UTF-8")
  }
}

const problem = (code: EdgeProblemCode, detail: string, errors?: ReadonlyArray<FieldProblem>) =>
  ProblemDetails.toResponse({
    type: ProblemDetails.blankType,
    ...problems[code],
    code,
    detail,
    ...(errors === undefined ? {} : { errors })
  })

const tooLarge = problem("payload_too_large", `a JSON body of more than ${maxJsonBytes} bytes is not taken`)

/** Gives the bare errors of the HTTP layer a body. */
const asProblem = (
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  // RFC 9110 §15.5.22: 426 names the protocol that is wanted.
  if (response.status === 426) {
    return HttpServerResponse.setHeaders(response, { upgrade: "websocket", connection: "Upgrade" })
  }
  if (response.status < 400 || response.headers["content-type"] === ProblemDetails.contentType)
    return response
  const path = request.url.split("?")[0] ?? ""
  switch (response.status) {
    case 404: {
      const allow = methods.filter((method) => routes.find(method, path) !== undefined)
      if (allow.length === 0) return problem("not_found", `there is nothing at ${path}`)
      const refused = problem("method_not_allowed", `${path} takes ${allow.join(", ")}`)
      return HttpServerResponse.setHeader(refused, "allow", allow.join(", "))
    }
    case 400:
      return problem("invalid_request", "the request could not be read")
    case 413:
      return HttpServerResponse.setHeaders(
        problem("payload_too_large", "the body is over this endpoint's limit"),
        {
          connection: "close"
        }
      )
    case 415: {
      const type = request.headers["content-type"] ?? "no content type"
      return problem("unsupported_media_type", `${path} does not take ${type}`)
    }
    default:
      return problem("internal_error", "the edge failed to answer; its log says why")
  }
}

const withRequestId = (
  response: HttpServerResponse.HttpServerResponse,
  requestId: string
): HttpServerResponse.HttpServerResponse => {
  const headers = { "x-request-id": requestId }
  const { body } = response
  if (response.headers["content-type"] !== ProblemDetails.contentType || body._tag !== "Uint8Array") {
    return HttpServerResponse.setHeaders(response, headers)
  }
  const members: unknown = JSON.parse(new TextDecoder().decode(body.body))
  const told = HttpServerResponse.jsonUnsafe(
    { ...(typeof members === "object" ? members : {}), requestId },
    { status: response.status, contentType: ProblemDetails.contentType }
  )
  const { "content-length": _, "content-type": __, ...others } = response.headers
  return HttpServerResponse.setHeaders(told, { ...others, ...headers })
}

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const

/** Which methods a path has, by the contract. */
const routes = FindMyWay.make<true>()
routes.on("GET", "/", true)
for (const group of Object.values(EdgeApi.groups)) {
  for (const endpoint of Object.values(group.endpoints)) routes.on(endpoint.method, endpoint.path, true)
}
