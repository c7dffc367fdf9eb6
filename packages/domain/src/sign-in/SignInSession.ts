import { Schema } from "effect"
import type { SignInSessionId } from "../ids/SignInSessionId.ts"
import type { SignedInUser } from "./CurrentUser.ts"

/**
 * What a session cookie stands for, on the server: a browser that is signing in, or one that is signed in. The
 * cookie holds a secret; the server keeps its SHA-256 only. All times are milliseconds since 1970.
 */

/** SHA-256 of a session cookie's secret, base64url. */
export const SessionIdHash = Schema.String.check(Schema.isPattern(/^[\w-]{43}$/)).pipe(
  Schema.brand("SessionIdHash")
)
export type SessionIdHash = typeof SessionIdHash.Type

/** How long a sign-in may take, from the click to the callback. */
export const pendingMillis = 10 * 60_000

/**
 * How long a sign-in that was finished, or never was, is remembered: the link to try again then still knows where the
 * person wanted to go.
 */
export const rememberedMillis = 60 * 60_000

/** Tabs that can be signing in at once in one browser; one more drops the oldest. A restored window has dozens. */
export const maxPending = 32

/** Sign-ins that are kept of all browsers together; past that the oldest go, whoever they belong to. */
export const maxPendingOfAll = 50_000

/** A sign-in that has begun: what the callback has to match. */
export interface PendingSignIn {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
  readonly returnTo: string
  readonly startedAt: number
}

/** What is known of a sign-in by its state alone, whichever browser began it. */
export interface RememberedSignIn {
  readonly returnTo: string
  /** It can still be finished, by the browser that began it. */
  readonly isOpen: boolean
}

/** A provider's logout token (OpenID Connect Back-Channel Logout 1.0 §2.4), believed. */
export interface ProviderLogout {
  readonly issuer: string
  /** Whose sessions end: of the subject, of the provider's session, or where it names both, of both together. */
  readonly subject: string | null
  readonly sid: string | null
  readonly jti: string
  /** When the provider made it, by its own clock, in seconds since 1970. */
  readonly issuedAt: number
  /** Until when its `jti` must be remembered, in milliseconds. */
  readonly expiresAt: number
}

/** What a logout token is known by: an issuer gives each another `jti`. */
export const logoutKey = ({ issuer, jti }: ProviderLogout): string => JSON.stringify([issuer, jti])

/** How long a provider's logout is remembered: no sign-in that it overtakes takes longer. */
export const logoutMillis = pendingMillis

/** A pending sign-in that was taken, which happens once. */
export interface TakenSignIn extends PendingSignIn {
  readonly browser: SessionIdHash
  /** Whether its browser was signed in when it was taken: then a sign-out in the meantime wins. */
  readonly signedIn: boolean
}

/** The provider's tokens, sealed by a key that only the cookie's secret gives, hence opaque to a store. */
export interface SealedTokens {
  readonly sealed: string
  /** When the access token wants refreshing; null where it cannot be. */
  readonly refreshAt: number | null
}

/** A signed-in session. */
export interface SignInSession extends SignedInUser, SealedTokens {
  readonly id: SignInSessionId
  readonly idHash: SessionIdHash
  /** What stays the same when the session id is replaced: one browser has one session. */
  readonly browser: SessionIdHash
  /** The provider's own session, which its back-channel logout names. */
  readonly sid: string | null
  readonly address: string
  readonly userAgent: string
  readonly createdAt: number
  readonly lastSeenAt: number
  readonly idleMillis: number
  /** The absolute end: nothing extends it. */
  readonly expiresAt: number
}

/** A session about to begin: the store says in which browser. */
export type NewSignInSession = Omit<SignInSession, "browser" | "lastSeenAt">

/** When a session ends if nothing more is asked of it. */
export const idleExpiresAt = (session: SignInSession): number =>
  Math.min(session.lastSeenAt + session.idleMillis, session.expiresAt)

export const isLive = (session: SignInSession, now: number): boolean => idleExpiresAt(session) > now

/**
 * Why a session is over: its user signed out; signed in again (`replaced`); ended it from another (`revoked`);
 * the provider's back channel said so (`provider`); the provider refused to refresh it (`refused`); time.
 */
export type EndReason = "signed_out" | "replaced" | "revoked" | "provider" | "refused" | "expired"

/** The browser signed out while this sign-in was under way: the sign-out wins, and nothing was stored. */
export class SignedOutMeanwhile extends Schema.TaggedError<SignedOutMeanwhile>()("SignedOutMeanwhile", {}) {
  override get message(): string {
    return "the browser signed out while this sign-in was under way"
  }
}
