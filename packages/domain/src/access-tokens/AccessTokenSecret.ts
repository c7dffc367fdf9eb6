import { Effect, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"

/**
 * The text of a personal access token: `erp_`, 43 characters of base 62 (256 random bits) and, in 6 more, the CRC-32
 * of those 43. The prefix tells secret scanners whose it is, the checksum spares them false alarms, and us a look-up
 * of what was mistyped or made up.
 *
 * Source: GitHub's token formats, 2021.
 */

export const prefix = "erp_"

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
const randomLength = 43
const checksumLength = 6
const pattern = /^erp_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/

export const make: Effect.Effect<Redacted.Redacted<string>, never, SecureRandom.SecureRandom> = Effect.gen(
  function* () {
    const random = yield* SecureRandom.SecureRandom
    let text = ""
    while (text.length < randomLength) {
      for (const byte of yield* random.randomBytes(randomLength)) {
        // Every character is as likely as any other: 248 is the largest multiple of 62 in a byte.
        if (byte < 248 && text.length < randomLength) text += alphabet.charAt(byte % 62)
      }
    }
    return Redacted.make(`${prefix}${text}${checksum(text)}`)
  }
)

/** Whether a text has the form and the checksum; not whether it was ever issued. */
export const isWellFormed = (text: string): boolean => {
  const [, random = "", sum] = pattern.exec(text) ?? []
  return sum !== undefined && checksum(random) === sum
}

const checksum = (text: string): string => {
  let value = crc32(text)
  let digits = ""
  for (let digit = 0; digit < checksumLength; digit++) {
    digits = alphabet.charAt(value % 62) + digits
    value = Math.floor(value / 62)
  }
  return digits
}

/** CRC-32 of ISO 3309, of ASCII. */
const crc32 = (text: string): number => {
  let crc = 0xffffffff
  for (let index = 0; index < text.length; index++) {
    crc ^= text.charCodeAt(index)
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}
