import { Effect, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { Base64Url } from "effect/encoding"

/**
 * Secrets that we give out once and keep as SHA-256 only. A plain hash is enough for 256 random bits: there is
 * nothing to guess, so nothing to slow down (OWASP ASVS 5, 6.5.2).
 */

/** 256 random bits behind a prefix that secret scanners can look for: `ert_…`. */
export const make = (
  prefix: string
): Effect.Effect<Redacted.Redacted<string>, never, SecureRandom.SecureRandom> =>
  SecureRandom.SecureRandom.use((random) =>
    Effect.map(random.randomBytes(32), (bytes) => Redacted.make(`${prefix}${Base64Url.encode(bytes)}`))
  )

/** SHA-256 of a secret, base64url: what is stored and looked up. */
export const hash = (secret: Redacted.Redacted<string>): Effect.Effect<string, never, Digest.Digest> =>
  Digest.Digest.use((digest) =>
    Effect.map(digest.digest(Digest.sha256, new TextEncoder().encode(Redacted.value(secret))), (bytes) =>
      Base64Url.encode(bytes)
    )
  )
