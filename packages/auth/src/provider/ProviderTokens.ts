import { Option, Schema } from "effect"
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto"

/**
 * The provider's tokens of one session, and how they are kept: sealed by AES-256-GCM under a key that is derived
 * from the cookie's secret. The database holds that secret's hash only, so that a stolen database opens no token.
 */
export class ProviderTokens extends Schema.Class<ProviderTokens>("ProviderTokens")({
  accessToken: Schema.String,
  refreshToken: Schema.NullOr(Schema.String),
  idToken: Schema.String
}) {}

const json = Schema.fromJsonString(ProviderTokens)
const encode = Schema.encodeSync(json)
const decode = Schema.decodeUnknownOption(json)

const ivBytes = 12
const tagBytes = 16

// One key seals a handful of messages, under random 96-bit IVs: far from NIST SP 800-38D §8.3's bound.
const keyOf = (cookieId: string) =>
  new Uint8Array(hkdfSync("sha256", cookieId, "", "edge-relay provider tokens v1", 32))

export const seal = (cookieId: string, tokens: ProviderTokens): string => {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv("aes-256-gcm", keyOf(cookieId), iv)
  const text = Buffer.concat([cipher.update(encode(tokens), "utf8"), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), text]).toString("base64url")
}

/** None where another cookie sealed it, or somebody changed it. */
export const unseal = (cookieId: string, sealed: string): Option.Option<ProviderTokens> => {
  const bytes = Buffer.from(sealed, "base64url")
  if (bytes.length < ivBytes + tagBytes) return Option.none()
  const decipher = createDecipheriv("aes-256-gcm", keyOf(cookieId), bytes.subarray(0, ivBytes), {
    authTagLength: tagBytes
  })
  decipher.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes))
  try {
    const text = Buffer.concat([decipher.update(bytes.subarray(ivBytes + tagBytes)), decipher.final()])
    return decode(text.toString("utf8"))
  } catch {
    // `final` throws where the tag does not fit: that is the answer.
    return Option.none()
  }
}
