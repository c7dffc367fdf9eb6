import type { Role } from "@edge-relay/domain/sign-in/Role"
import { readRole, type RoleRules } from "./RoleClaim.ts"

/** What the provider says of who signed in, as far as we keep it. */
export interface ProviderIdentity {
  readonly issuer: string
  readonly subject: string
  /** The provider's session, which its back-channel logout names. */
  readonly sid: string | null
  readonly name: string | null
  readonly email: string | null
  readonly picture: string | null
  /** What the tenant claim says; null where no such claim is configured. */
  readonly tenant: string | null
  /** Null where roles are configured, and the claims give none. */
  readonly role: Role | null
}

/** A name that fits a page and a log line. */
const maxText = 256

/** The claims that say which tenant somebody belongs to: an address counts as far as the provider has verified it. */
export const tenantClaims = (tenantClaim: string | undefined): ReadonlyArray<string> =>
  tenantClaim === undefined ? [] : tenantClaim === "email" ? ["email", "email_verified"] : [tenantClaim]

/** Reads checked claims. Undefined where they lack the tenant: nobody is put into a tenant by default. */
export const readIdentity = (
  issuer: string,
  claims: { readonly [name: string]: unknown },
  tenantClaim: string | undefined,
  roles?: RoleRules
): ProviderIdentity | undefined => {
  const subject = claims["sub"]
  // Anybody can claim an address. Providers that say nothing of it give addresses that they manage themselves.
  const isUnverified = tenantClaim === "email" && /^false$/i.test(String(claims["email_verified"]))
  const tenant = tenantClaim === undefined || isUnverified ? null : text(claims[tenantClaim])
  if (typeof subject !== "string" || (tenantClaim !== undefined && tenant === null)) return undefined
  return {
    issuer,
    subject,
    sid: text(claims["sid"]),
    name: text(claims["name"]),
    email: text(claims["email"]),
    picture: picture(claims["picture"]),
    tenant,
    role: readRole(claims, roles)
  }
}

/** No line ends or other controls, not empty, not endless. */
export const text = (value: unknown): string | null =>
  typeof value === "string" && value !== "" && value.length <= maxText && !/\p{Cc}/u.test(value)
    ? value
    : null

const picture = (value: unknown): string | null => {
  const url = typeof value === "string" && value.length <= 2048 ? URL.parse(value) : null
  return url?.protocol === "https:" ? url.href : null
}
