import { decodeJwt } from "jose"

/** OpenID Connect RP-Initiated Logout 1.0 §2: who signs out, as the provider would name them. */
export const logoutHint = (idToken: string): string => {
  const { email, login_hint, sub } = decodeJwt<{ email?: unknown; login_hint?: unknown }>(idToken)
  const names = [login_hint, email, sub].filter((name) => typeof name === "string")
  return names.find(({ length }) => length <= 256) ?? ""
}
