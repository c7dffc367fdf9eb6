import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"

/**
 * Every error of the cloud API, as `application/problem+json` (RFC 9457). `code` is what a program tests, and has
 * one status each; the classes below are the whole list of codes. `requestId` is filled in by the server as the answer leaves.
 */
const problem =
  <Self>() =>
  <const Code extends string, const Status extends number>(code: Code, status: Status, title: string) =>
    HttpApiError.Problem<Self>()(
      code,
      { type: "about:blank", status, title },
      { code: Schema.tag(code), requestId: Schema.optionalKey(Schema.String) }
    )

/** A field that was wrong: `path` in dots and indices ("labels.0"), what was wrong with it. */
export const FieldError = Schema.Struct({ path: Schema.String, message: Schema.String })

// 400
export class InvalidRequest extends HttpApiError.Problem<InvalidRequest>()(
  "invalid_request",
  { type: "about:blank", status: 400, title: "Invalid request" },
  {
    code: Schema.tag("invalid_request"),
    requestId: Schema.optionalKey(Schema.String),
    errors: Schema.optionalKey(Schema.Array(FieldError))
  }
) {}
export class BadMessage extends problem<BadMessage>()("bad_message", 400, "Bad message") {}
export class InvalidCode extends problem<InvalidCode>()("invalid_code", 400, "Invalid pairing code") {}
/** RFC 6749 §5.2: of a refresh token. */
export class InvalidGrant extends problem<InvalidGrant>()("invalid_grant", 400, "Invalid grant") {}
export class InvalidLogoutToken extends problem<InvalidLogoutToken>()(
  "invalid_logout_token",
  400,
  "Invalid logout token"
) {}
export class SignInFailed extends problem<SignInFailed>()("sign_in_failed", 400, "Sign-in failed") {}
/** RFC 8628 §3.5: the four answers of a poll that is not done. */
export class AuthorizationPending extends problem<AuthorizationPending>()(
  "authorization_pending",
  400,
  "Authorization pending"
) {}
export class SlowDown extends problem<SlowDown>()("slow_down", 400, "Slow down") {}
export class AccessDenied extends problem<AccessDenied>()("access_denied", 400, "Access denied") {}
export class ExpiredToken extends problem<ExpiredToken>()("expired_token", 400, "Expired") {}

// 401, 403
export class Unauthorized extends problem<Unauthorized>()("unauthorized", 401, "Not signed in") {}
/** RFC 6750 §3.1: the token is good, and not for this. */
export class InsufficientScope extends problem<InsufficientScope>()(
  "insufficient_scope",
  403,
  "Insufficient scope"
) {}
/** Somebody who is known, and whose role may not. */
export class Forbidden extends problem<Forbidden>()("forbidden", 403, "Forbidden") {}
export class CrossSite extends problem<CrossSite>()("cross_site", 403, "Cross-site request") {}

// 404, 405
export class NotFound extends problem<NotFound>()("not_found", 404, "Not found") {}
export class EdgeNotFound extends problem<EdgeNotFound>()("edge_not_found", 404, "Edge not found") {}
/** Where a live tunnel is what was asked for, and not something behind it: that is {@link EdgeOffline}. */
export class EdgeSessionNotFound extends problem<EdgeSessionNotFound>()(
  "edge_session_not_found",
  404,
  "Edge has no session"
) {}
export class MethodNotAllowed extends problem<MethodNotAllowed>()(
  "method_not_allowed",
  405,
  "Method not allowed"
) {}

// 408, 413, 415, 417, 426, 429, 431
export class RequestTimeout extends problem<RequestTimeout>()("request_timeout", 408, "Request timed out") {}
export class PayloadTooLarge extends problem<PayloadTooLarge>()(
  "payload_too_large",
  413,
  "Payload too large"
) {}
export class UnsupportedMediaType extends problem<UnsupportedMediaType>()(
  "unsupported_media_type",
  415,
  "Unsupported media type"
) {}
export class ExpectationFailed extends problem<ExpectationFailed>()(
  "expectation_failed",
  417,
  "Expectation failed"
) {}
export class UpgradeRequired extends problem<UpgradeRequired>()(
  "upgrade_required",
  426,
  "Upgrade required"
) {}
export class TooManyRequests extends problem<TooManyRequests>()(
  "too_many_requests",
  429,
  "Too many requests"
) {}
export class EdgeBusy extends problem<EdgeBusy>()("edge_busy", 429, "Edge busy") {}

// 5xx
export class InternalError extends problem<InternalError>()("internal_error", 500, "Internal error") {}
export class EdgeRefused extends problem<EdgeRefused>()("edge_refused", 502, "Edge refused") {}
export class EdgeReset extends problem<EdgeReset>()("edge_reset", 502, "Edge broke off") {}
export class EdgeOffline extends problem<EdgeOffline>()("edge_offline", 503, "Edge offline") {}
export class ProviderUnavailable extends problem<ProviderUnavailable>()(
  "provider_unavailable",
  503,
  "Identity provider unavailable"
) {}
export class StorageUnavailable extends problem<StorageUnavailable>()(
  "storage_unavailable",
  503,
  "Storage unavailable"
) {}
export class Unavailable extends problem<Unavailable>()("unavailable", 503, "Unavailable") {}
export class EdgeTimeout extends problem<EdgeTimeout>()("edge_timeout", 504, "Edge timed out") {}
