import { highest, type Role } from "@edge-relay/domain/sign-in/Role"

/** How a provider's claim says what somebody may do: `OIDC_ROLES_CLAIM` and `OIDC_ROLE_MAP`. */
export interface RoleRules {
  /** A claim's name, or a path of names with dots between: `realm_access.roles`. */
  readonly claim: string
  /** Our role by the provider's word; `*` is for who has no other. */
  readonly map: ReadonlyMap<string, Role>
}

/** The highest role that the claims give; null where they give none. Without rules everybody is an admin. */
export const readRole = (
  claims: { readonly [name: string]: unknown },
  rules: RoleRules | undefined
): Role | null => {
  if (rules === undefined) return "admin"
  const words = wordsOf(valueAt(claims, rules.claim))
  const roles = words.flatMap((word) => rules.map.get(word) ?? [])
  return highest(roles) ?? rules.map.get("*") ?? null
}

/** The top-level claim that a path begins with: what may have to be asked for. */
export const topClaim = (path: string, claims: { readonly [name: string]: unknown }): string =>
  path in claims ? path : (path.split(".")[0] ?? path)

/** A name that has dots itself (`https://example.com/roles`) is meant as it stands. */
const valueAt = (claims: { readonly [name: string]: unknown }, path: string): unknown => {
  if (Object.hasOwn(claims, path)) return claims[path]
  let value: unknown = claims
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined
    value = Reflect.get(value, name)
  }
  return value
}

const wordsOf = (value: unknown): ReadonlyArray<string> =>
  typeof value === "string"
    ? [value]
    : Array.isArray(value)
      ? value.filter((word): word is string => typeof word === "string")
      : []
