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
}

/** A name that fits a page and a log line. */
const maxText = 256

/** Reads checked claims. Undefined where they lack the tenant: nobody is put into a tenant by default. */
export const readIdentity = (
  issuer: string,
  claims: { readonly [name: string]: unknown },
  tenantClaim: string | undefined
): ProviderIdentity | undefined => {
  const subject = claims["sub"]
  const tenant = tenantClaim === undefined ? null : text(claims[tenantClaim])
  if (typeof subject !== "string" || (tenantClaim !== undefined && tenant === null)) return undefined
  return {
    issuer,
    subject,
    sid: text(claims["sid"]),
    name: text(claims["name"]),
    email: text(claims["email"]),
    picture: picture(claims["picture"]),
    tenant
  }
}

/** No line ends or other controls, not empty, not endless. */
const text = (value: unknown): string | null =>
  typeof value === "string" && value !== "" && value.length <= maxText && !/\p{Cc}/u.test(value)
    ? value
    : null

const picture = (value: unknown): string | null => {
  const url = typeof value === "string" && value.length <= 2048 ? URL.parse(value) : null
  return url?.protocol === "https:" ? url.href : null
}
