/**
 * The errors of the edge API: `application/problem+json` (RFC 9457) with a stable `code`.
 *
 * Every error an edge answers decodes as `EdgeProblem`; the classes below are its cases, one a status, and are
 * what endpoints declare and handlers fail with. Programs test `code`, people read `detail`.
 */
import { Schema } from "effect"
import { HttpApiError, HttpApiMiddleware } from "effect/http-api"

/** Every code, with the status it always comes with and its title. */
export const problems = {
  invalid_request: { status: 400, title: "Invalid request" },
  not_found: { status: 404, title: "Not found" },
  method_not_allowed: { status: 405, title: "Method not allowed" },
  conflict: { status: 409, title: "Conflict" },
  payload_too_large: { status: 413, title: "Payload too large" },
  unsupported_media_type: { status: 415, title: "Unsupported media type" },
  range_not_satisfiable: { status: 416, title: "Range not satisfiable" },
  upgrade_required: { status: 426, title: "Upgrade required" },
  internal_error: { status: 500, title: "Internal error" },
  insufficient_storage: { status: 507, title: "Insufficient storage" }
} as const

export const EdgeProblemCode = Schema.Literals([
  "invalid_request",
  "not_found",
  "method_not_allowed",
  "conflict",
  "payload_too_large",
  "unsupported_media_type",
  "range_not_satisfiable",
  "upgrade_required",
  "internal_error",
  "insufficient_storage"
])
export type EdgeProblemCode = typeof EdgeProblemCode.Type

/** One field that was refused; `path` is dotted and starts inside the body, the query or the path parameters. */
export const FieldProblem = Schema.Struct({ path: Schema.String, message: Schema.String })
export interface FieldProblem extends Schema.Schema.Type<typeof FieldProblem> {}

/** Any error of an edge, whatever its status. */
export const EdgeProblem = Schema.Struct({
  type: Schema.String,
  title: Schema.String,
  status: Schema.Int.check(Schema.isBetween({ minimum: 400, maximum: 599 })),
  code: EdgeProblemCode,
  detail: Schema.String,
  requestId: Schema.optionalKey(Schema.String),
  errors: Schema.optionalKey(Schema.Array(FieldProblem))
}).annotate({ identifier: "EdgeProblem", description: "An error of an edge, as RFC 9457 has it" })
export interface EdgeProblem extends Schema.Schema.Type<typeof EdgeProblem> {}

/** What all cases carry besides their code. */
const members = {
  detail: Schema.String,
  requestId: Schema.optionalKey(Schema.String),
  errors: Schema.optionalKey(Schema.Array(FieldProblem))
}

const blank = "about:blank"

/** Path, query or body is not what the contract says; `errors` names the fields. */
export class InvalidRequest extends HttpApiError.Problem<InvalidRequest>()(
  "InvalidRequest",
  { type: blank, ...problems.invalid_request },
  { ...members, code: Schema.tag("invalid_request") }
) {}

/** There is no such thing on this edge. */
export class NotFound extends HttpApiError.Problem<NotFound>()(
  "NotFound",
  { type: blank, ...problems.not_found },
  { ...members, code: Schema.tag("not_found") }
) {}

/** It exists, and its present state does not allow this. */
export class Conflict extends HttpApiError.Problem<Conflict>()(
  "Conflict",
  { type: blank, ...problems.conflict },
  { ...members, code: Schema.tag("conflict") }
) {}

/** The body is over the endpoint's limit; nothing of it was kept. */
export class PayloadTooLarge extends HttpApiError.Problem<PayloadTooLarge>()(
  "PayloadTooLarge",
  { type: blank, ...problems.payload_too_large },
  { ...members, code: Schema.tag("payload_too_large") }
) {}

/** The body's content type is not one that the endpoint takes. */
export class UnsupportedMediaType extends HttpApiError.Problem<UnsupportedMediaType>()(
  "UnsupportedMediaType",
  { type: blank, ...problems.unsupported_media_type },
  { ...members, code: Schema.tag("unsupported_media_type") }
) {}

/** The `Range` begins past the end (RFC 9110 §14.2). */
export class RangeNotSatisfiable extends HttpApiError.Problem<RangeNotSatisfiable>()(
  "RangeNotSatisfiable",
  { type: blank, ...problems.range_not_satisfiable },
  { ...members, code: Schema.tag("range_not_satisfiable") }
) {}

/** The endpoint speaks WebSocket only. */
export class UpgradeRequired extends HttpApiError.Problem<UpgradeRequired>()(
  "UpgradeRequired",
  { type: blank, ...problems.upgrade_required },
  { ...members, code: Schema.tag("upgrade_required") }
) {}

/** The edge's disk is full; nothing of the body was kept. */
export class InsufficientStorage extends HttpApiError.Problem<InsufficientStorage>()(
  "InsufficientStorage",
  { type: blank, ...problems.insufficient_storage },
  { ...members, code: Schema.tag("insufficient_storage") }
) {}

/** Declares on every endpoint that a request which does not decode is answered by `InvalidRequest`. */
export class RequestValidation extends HttpApiMiddleware.Service<RequestValidation>()(
  "@edge-relay/domain/edge-api/RequestValidation",
  { error: InvalidRequest }
) {}
