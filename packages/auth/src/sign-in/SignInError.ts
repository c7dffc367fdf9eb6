import { Schema } from "effect"

/**
 * A sign-in that did not succeed, for a reason that a person can be told.
 *
 * `unknown`: no such sign-in is under way in this browser (expired, used already). `no_cookie`: the browser sent none
 * of ours, so that nobody can tell whether it began the sign-in. `signed_out`: it was signed out meanwhile. The others are the provider's: see `ProviderRefused`.
 */
export class SignInFailed extends Schema.TaggedError<SignInFailed>()("SignInFailed", {
  reason: Schema.Literals([
    "unknown",
    "no_cookie",
    "signed_out",
    "denied",
    "refused",
    "untrusted",
    "no_tenant",
    "no_role"
  ]),
  /** The check that failed, or the provider's error code. */
  code: Schema.String,
  /** Where the person wanted to go, for trying again. */
  returnTo: Schema.String
}) {
  override get message(): string {
    return `sign-in failed: ${this.reason} (${this.code})`
  }
}

/** A logout token that ends nothing. */
export class LogoutRefused extends Schema.TaggedError<LogoutRefused>()("LogoutRefused", {
  /** The check that failed. */
  code: Schema.String
}) {
  override get message(): string {
    return `logout token refused (${this.code})`
  }
}

/** Too many from one address. */
export class TooManySignIns extends Schema.TaggedError<TooManySignIns>()("TooManySignIns", {
  retryAfterSeconds: Schema.Int
}) {
  override get message(): string {
    return `too many sign-ins from this address, again in ${this.retryAfterSeconds} s`
  }
}
