import type { JWTPayload } from "jose"

/**
 * Judgement of an access token of the provider's `client_credentials` grant (RFC 9068 §4), once its signature, `iss` and
 * `aud` are believed. Answers the name of the first check that fails, or undefined.
 */
export const checkAccessToken = (
  { client_id: clientId, exp, iat, nbf, sub }: JWTPayload,
  { typ = "" }: { readonly typ?: string | undefined },
  expected: {
    /** Milliseconds since 1970. */
    readonly now: number
    readonly toleranceSeconds: number
    /** The one client that may; any where it is left out. */
    readonly clientId?: string | undefined
  }
): string | undefined => {
  const seconds = expected.now / 1000
  // An ID token says who signed in, not what may be done, and is often for the same audience.
  if (!/^(application\/)?at\+jwt$/i.test(typ)) return "typ"
  if (typeof clientId !== "string" || clientId === "") return "client_id"
  if (expected.clientId !== undefined && clientId !== expected.clientId) return "client_id"
  // §2.2: of a client's own grant, the subject is the client. A person's token is for their session here.
  if (sub !== clientId) return "sub"
  if (typeof exp !== "number" || exp <= seconds - expected.toleranceSeconds) return "exp"
  if (nbf !== undefined && !(nbf <= seconds + expected.toleranceSeconds)) return "nbf"
  return typeof iat !== "number" || iat > seconds + expected.toleranceSeconds ? "iat" : undefined
}
