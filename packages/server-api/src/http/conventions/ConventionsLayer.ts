import { Authorization } from "@edge-relay/domain/api/Authorization"
import { BodyRules, ChangeLimit, Conventions, maxBodyBytes } from "@edge-relay/domain/api/Conventions"
import {
  InternalError,
  InvalidRequest,
  PayloadTooLarge,
  UnsupportedMediaType
} from "@edge-relay/domain/api/Problem"
import { isSafeMethod } from "@edge-relay/domain/api/SafeMethod"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import { StoragePriority } from "@edge-relay/domain/StoragePriority"
import { ByteSize, Effect, Layer, SchemaIssue } from "effect"
import { HttpServerRequest } from "effect/http"
import { type HttpApiEndpoint, HttpApiError, HttpApiMiddleware } from "effect/http-api"
import * as JsonGuard from "./JsonGuard.ts"
import { Limits } from "./Limits.ts"

/** The rules that the contract puts on every endpoint of the cloud's own. */
export const layer = Layer.suspend(() => Layer.mergeAll(layerConventions, layerBodyRules, layerChangeLimit))

/** Signed-in work goes first in the database: an endpoint that asks for no `Authorization` is for anybody. */
const layerConventions = Layer.effect(
  Conventions,
  Effect.map(Conventions, (conventions) =>
    Conventions.of((effect, options) =>
      conventions(
        options.endpoint.middlewares.has(Authorization)
          ? effect
          : Effect.provideService(effect, StoragePriority, "low"),
        options
      )
    )
  )
).pipe(Layer.provide(Layer.suspend(() => layerSchemaErrors)))

const layerSchemaErrors = HttpApiMiddleware.layerSchemaErrorTransform(Conventions, (error) => {
  if (error.kind === "Body" || error.kind === "ResponseHeaders") {
    // An answer that its own schema refuses is our bug, not the caller's.
    return Effect.andThen(
      Effect.logError("an answer does not fit its schema", error.cause),
      Effect.fail(new InternalError({}))
    )
  }
  return Effect.fail(toInvalidRequest(error))
})

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const toInvalidRequest = (error: HttpApiError.HttpApiSchemaError): InvalidRequest => {
  const errors = format(error.cause.issue).issues.map((issue) => ({
    path: (issue.path ?? [])
      .map((segment) => String(typeof segment === "object" ? segment.key : segment))
      .join("."),
    message: issue.message.slice(0, 500)
  }))
  const [first] = errors
  const named = first === undefined || first.path === "" ? error.kind.toLowerCase() : first.path
  // A body can be wrong in a thousand places: the first ones will do.
  return new InvalidRequest({
    detail: `${named}: ${first?.message ?? "is not valid"}`,
    errors: errors.slice(0, 20)
  })
}

const layerBodyRules = Layer.succeed(BodyRules, (effect, { endpoint }) => {
  const contentTypes = new Set(endpoint.payload.keys())
  return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    hasBody(request) ? Effect.andThen(checkBody(request, endpoint, contentTypes), effect) : effect
  )
})

const layerChangeLimit = Layer.effect(
  ChangeLimit,
  Effect.map(Limits, (limits) =>
    ChangeLimit.of((effect, { endpoint }) =>
      isSafeMethod(endpoint.method)
        ? effect
        : Effect.flatMap(CurrentUser, ({ userId }) => Effect.andThen(limits.checkChange(userId), effect))
    )
  )
)

const hasBody = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0

const tooLarge = new PayloadTooLarge({ detail: `A body has at most ${maxBodyBytes} bytes.` })

/** For a mebibyte; uploads to an edge take their time elsewhere. */
const patience = "30 seconds"

/** Reads the body, which the request keeps for whoever reads it next. */
const checkBody = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  endpoint: HttpApiEndpoint.Top,
  contentTypes: ReadonlySet<string>
) {
  if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) return yield* tooLarge
  const contentType = mediaType(request.headers["content-type"])
  // An endpoint that takes no body ignores a small one.
  if (contentTypes.size > 0 && !contentTypes.has(contentType)) {
    return yield* new UnsupportedMediaType({
      detail: `${endpoint.method} ${endpoint.path} takes ${Array.from(contentTypes).join(", ")}.`
    })
  }
  const bytes = yield* request.arrayBuffer.pipe(
    Effect.provideService(HttpServerRequest.MaxBodySize, ByteSize.bytes(maxBodyBytes)),
    Effect.mapError((error) =>
      error.reason._tag === "RequestParseError" && error.reason.reason === "BodyTooLarge"
        ? tooLarge
        : invalid("", "could not be read")
    ),
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () => Effect.fail(invalid("", "did not arrive in time"))
    })
  )
  if (contentTypes.size === 0) return
  const text = yield* decode(bytes)
  if (contentType !== "application/json") return
  const problem = yield* Effect.try({
    try: () => {
      JSON.parse(text)
      return JsonGuard.check(text)
    },
    catch: () => invalid("", "is not valid JSON")
  })
  if (problem !== undefined) return yield* invalid(problem.path, problem.message)
})

const decode = (bytes: ArrayBuffer) =>
  Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    catch: () => invalid("", "is not valid UTF-8")
  })

const invalid = (path: string, message: string): InvalidRequest =>
  new InvalidRequest({
    detail: `${path === "" ? "The body" : path} ${message}.`,
    errors: [{ path, message }]
  })

const mediaType = (header: string | undefined): string =>
  (header ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? ""
