import { Schema } from "effect"
import * as client from "openid-client"

/** The provider's metadata cannot be worked with: its configuration is at fault, or ours. */
export class MetadataFault extends Schema.TaggedError<MetadataFault>()("MetadataFault", {
  /** For whoever runs this server: what is wrong, with the values. */
  fault: Schema.String
}) {
  override get message(): string {
    return this.fault
  }
}

/** The provider cannot be reached, or answers what no provider would. It may get better by itself. */
export class ProviderUnavailable extends Schema.TaggedError<ProviderUnavailable>()("ProviderUnavailable", {
  /** What was asked of it: "discovery", "token", "keys" … */
  operation: Schema.String,
  /** When asking again makes sense. */
  retryAfterSeconds: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `the identity provider did not answer (${this.operation})`
  }
  /** What whoever runs this server has to put right; undefined where it may get better by itself. */
  get fault(): string | undefined {
    return this.cause instanceof MetadataFault ? this.cause.fault : undefined
  }
  /**
   * What happened, for the log: names and messages of the causes alone. The errors themselves may hold what the
   * provider sent.
   */
  get because(): string {
    const causes: Array<string> = []
    for (let cause = this.cause; cause instanceof Error && causes.length < 4; cause = cause.cause) {
      causes.push("code" in cause ? `${cause.message} (${String(cause.code)})` : cause.message)
    }
    return causes.join(": ")
  }
}

/**
 * The provider says no, or says what must not be believed.
 *
 * `denied`: the person declined. `refused`: the provider did (`code` is its error). `untrusted`: an answer that
 * fails a check (`code` names it). `no_tenant`, `no_role`: somebody whose claims name no tenant,
 * or give no role.
 */
export class ProviderRefused extends Schema.TaggedError<ProviderRefused>()("ProviderRefused", {
  reason: Schema.Literals(["denied", "refused", "untrusted", "no_tenant", "no_role"]),
  code: Schema.String
}) {
  override get message(): string {
    return `the identity provider's answer is ${this.reason} (${this.code})`
  }
}

/** How long to wait after a failure that has no backoff of its own. */
const defaultRetrySeconds = 5

/** Answers that no provider gives when it works: no connection, no JSON, a redirect, an error page, 5xx. */
const brokenCodes: ReadonlySet<string> = new Set([
  "OAUTH_TIMEOUT",
  "OAUTH_ABORT",
  "OAUTH_RESPONSE_IS_NOT_CONFORM",
  "OAUTH_RESPONSE_IS_NOT_JSON"
])

/** RFC 6749 §4.1.2.1: the provider's own trouble. */
const temporaryErrors: ReadonlySet<string> = new Set(["server_error", "temporarily_unavailable"])

/** Sorts what `openid-client` throws: whose fault it is, and whether it may pass. */
export const fromClient =
  (operation: string) =>
  (error: unknown): ProviderUnavailable | ProviderRefused => {
    const unavailable = () =>
      new ProviderUnavailable({ operation, retryAfterSeconds: defaultRetrySeconds, cause: error })
    if (error instanceof client.AuthorizationResponseError || error instanceof client.ResponseBodyError) {
      if (temporaryErrors.has(error.error)) return unavailable()
      return new ProviderRefused({
        reason: error.error === "access_denied" ? "denied" : "refused",
        code: errorCode(error.error)
      })
    }
    if (error instanceof client.WWWAuthenticateChallengeError) {
      return new ProviderRefused({ reason: "refused", code: "challenge" })
    }
    if (error instanceof client.ClientError && !brokenCodes.has(error.code ?? "")) {
      return new ProviderRefused({ reason: "untrusted", code: error.code ?? "unknown" })
    }
    // `fetch` fails with a TypeError that has no code; one with a code is a misuse of the library.
    return unavailable()
  }

/** RFC 6749 §5.2's characters, so that what a provider sends can be logged and shown. */
const errorCode = (code: string) => (/^[\x21\x23-\x5b\x5d-\x7e]{1,64}$/.test(code) ? code : "unknown")
