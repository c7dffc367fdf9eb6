import { createHash } from "node:crypto"
import type { JWTPayload } from "jose"
import type { ProviderLogout } from "@edge-relay/domain/sign-in/SignInSession"

/**
 * Judgement, apart from the network: what a token must say beyond what `openid-client` and `jose` check. Each
 * answers the name of the first check that fails, or undefined.
 */

/** How far the provider's clock may be from ours, either way; OpenID Connect Core §3.1.3.7 leaves it to us. */
export const defaultClockToleranceSeconds = 60

/** A token that we have just asked for was not made before the sign-in began. */
const maxAgeSeconds = 10 * 60

/** OpenID Connect Core §2: at most 255 ASCII characters. */
const isSubject = (subject: unknown): subject is string =>
  typeof subject === "string" && /^[\x20-\x7e]{1,255}$/.test(subject)

const isSid = (sid: unknown): sid is string => typeof sid === "string" && /^[\x20-\x7e]{1,255}$/.test(sid)

/** What an ID token of the code flow says, once it has been believed. */
export interface IdTokenClaims extends JWTPayload {
  readonly iss: string
  readonly sub: string
  readonly sid?: string
}

/** What a token's times are compared with. */
interface Time {
  /** Milliseconds since 1970. */
  readonly now: number
  readonly toleranceSeconds: number
}

interface Expected extends Time {
  readonly clientId: string
}

const timeClaims = ["exp", "nbf", "iat"] as const

/** Whether the check that failed is one of a token's times. */
export const isAboutTime = (failed: string): boolean => timeClaims.some((claim) => claim === failed)

/** The only place where a token's times are judged, so that one tolerance holds for all of them. */
const checkTime = (
  { exp, iat, nbf }: JWTPayload,
  { now, toleranceSeconds }: Time
): (typeof timeClaims)[number] | undefined => {
  const seconds = now / 1000
  if (typeof exp !== "number" || exp <= seconds - toleranceSeconds) return "exp"
  if (nbf !== undefined && !(nbf <= seconds + toleranceSeconds)) return "nbf"
  if (typeof iat !== "number" || iat > seconds + toleranceSeconds) return "iat"
  return iat < seconds - maxAgeSeconds - toleranceSeconds ? "iat" : undefined
}

/**
 * OpenID Connect Core §3.1.3.7 (`aud`, `azp`, `iat`) and §3.1.3.8 (`at_hash`). Times come last: where one of them is
 * what failed, all else holds.
 */
export const checkIdToken = (
  claims: JWTPayload,
  header: { readonly alg?: string | undefined },
  accessToken: string,
  { clientId, ...time }: Expected
): string | undefined => {
  if (!isSubject(claims.sub)) return "sub"
  const azp = claims["azp"]
  if (azp !== undefined && azp !== clientId) return "azp"
  if (Array.isArray(claims.aud) && claims.aud.length > 1 && azp === undefined) return "azp"
  const atHash = claims["at_hash"]
  if (atHash !== undefined && atHash !== accessTokenHash(header.alg ?? "", accessToken)) return "at_hash"
  const sid = claims["sid"]
  return sid === undefined || isSid(sid) ? checkTime(claims, time) : "sid"
}

/** The left half of the hash that the signature's algorithm has; Ed25519's is SHA-512. */
export const accessTokenHash = (alg: string, accessToken: string): string => {
  const bits = /(256|384|512)$/.exec(alg)?.[1] ?? "512"
  const digest = createHash(`sha${alg.startsWith("Ed") ? "512" : bits}`)
    .update(accessToken, "ascii")
    .digest()
  return digest.subarray(0, digest.length / 2).toString("base64url")
}

/** OpenID Connect Core §12.2: a refreshed ID token is of the same person, from the same issuer. */
export const checkRefreshed = (
  claims: JWTPayload,
  header: { readonly alg?: string | undefined },
  accessToken: string,
  former: { readonly issuer: string; readonly subject: string },
  expected: Expected
): string | undefined => {
  if (claims.sub !== former.subject) return "sub"
  if (claims.iss !== former.issuer) return "iss"
  return checkIdToken(claims, header, accessToken, expected)
}

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

/** OpenID Connect Back-Channel Logout 1.0 §2.6, after signature, `iss` and `aud`. */
export const readLogoutToken = (
  claims: JWTPayload,
  header: { readonly typ?: string | undefined },
  time: Time
): ProviderLogout | string => {
  // §2.4 recommends the first; common providers send one of the others. What tells it from an ID token is below.
  const type = header.typ?.toLowerCase().replace(/^application\//, "")
  if (type !== "logout+jwt" && type !== "jwt" && type !== undefined) return "typ"
  const failed = checkTime(claims, time)
  if (failed !== undefined) return failed
  const { iss, jti, exp, iat, sub } = claims
  const { events, sid } = claims
  if (!isObject(events) || !isObject(events[logoutEvent])) return "events"
  // An ID token has one, and must not pass for a logout token.
  if ("nonce" in claims) return "nonce"
  if (typeof jti !== "string" || jti === "" || jti.length > 255) return "jti"
  if (sub !== undefined && !isSubject(sub)) return "sub"
  if (sid !== undefined && !isSid(sid)) return "sid"
  if (sub === undefined && sid === undefined) return "sub"
  if (typeof iss !== "string" || exp === undefined || iat === undefined) return "iss"
  return {
    issuer: iss,
    subject: sub ?? null,
    sid: sid ?? null,
    jti,
    issuedAt: iat,
    expiresAt: (exp + time.toleranceSeconds) * 1000
  }
}

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
