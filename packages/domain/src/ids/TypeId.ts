import { Effect, Schema } from "effect"
import { SecureRandom } from "effect/crypto"

/**
 * Ids are TypeIDs: a prefix, `_`, and a UUIDv7 in 26 characters of Crockford's base 32, lower case. They sort
 * by age as strings. They are not secrets: they reveal when they were made.
 *
 * Source: the TypeID specification 0.3; RFC 9562 §5.7 (UUIDv7).
 */

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

/** The text form of ids of one prefix. Brand it where it is used: an edge's id is not a token's. */
export const schema = (prefix: string) =>
  // The first character holds 3 bits only: 26 × 5 = 130 bits carry 128.
  Schema.String.check(
    Schema.isPattern(new RegExp(`^${prefix}_[0-7][${alphabet}]{25}$`), {
      message: `an id that begins with ${prefix}_`
    })
  )

/** Makes ids of one prefix. */
export const make = (prefix: string): Effect.Effect<string, never, SecureRandom.SecureRandom> =>
  SecureRandom.SecureRandom.use((random) =>
    Effect.map(random.uuidV7({ format: "bytes" }), (bytes) => `${prefix}_${encode(bytes)}`)
  )

const encode = (bytes: Uint8Array): string => {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  let text = ""
  for (let digit = 0; digit < 26; digit++) {
    text = alphabet.charAt(Number(value & 31n)) + text
    value >>= 5n
  }
  return text
}
