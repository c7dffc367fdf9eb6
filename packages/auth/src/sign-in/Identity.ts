import { AccessTokenId } from "@edge-relay/domain/ids/AccessTokenId"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { UserId } from "@edge-relay/domain/ids/UserId"
import { createHash } from "node:crypto"

/**
 * The ids of users and tenants, made of what the provider says of them: the same person has the same id in every
 * process and every database, and there is no table that two first sign-ins could race for.
 *
 * A user is issuer and subject, both. The id is a UUIDv8 (RFC 9562 §5.8: 122 bits of SHA-256) as a TypeID.
 */

export const userId = (issuer: string, subject: string): UserId =>
  UserId.make(named("user", ["user", issuer, subject]))

/** `claim` is the tenant's name in the tenant claim; null makes the user alone the tenant. */
export const tenantId = (issuer: string, subject: string, claim: string | null): TenantId =>
  TenantId.make(
    named("tenant", claim === null ? ["tenant of one", issuer, subject] : ["tenant", issuer, claim])
  )

/** Of a token that is in no store: the same for the same text. */
export const accessTokenId = (text: string): AccessTokenId =>
  AccessTokenId.make(named("pat", ["access token", text]))

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const named = (prefix: string, parts: ReadonlyArray<string>): string => {
  // JSON keeps ("a", "bc") apart from ("ab", "c").
  const digest = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32)
  const variant = ((Number.parseInt(digest.charAt(16), 16) & 0x3) | 0x8).toString(16)
  let value = BigInt(`0x${digest.slice(0, 12)}8${digest.slice(13, 16)}${variant}${digest.slice(17)}`)
  let text = ""
  for (let digit = 0; digit < 26; digit++) {
    text = alphabet.charAt(Number(value & 31n)) + text
    value >>= 5n
  }
  return `${prefix}_${text}`
}
