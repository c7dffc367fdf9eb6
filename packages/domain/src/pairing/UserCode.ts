import { Effect, Option, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"

/**
 * The code that a person reads on one screen and types on another: eight characters in two groups,
 * `BCDF-2345`. No vowels, so no words; nothing that looks like something else (RFC 8628 §6.1).
 */

const alphabet = "BCDFGHJKLMNPQRSTVWXZ23456789"
const form = new RegExp(`^[${alphabet}]{8}$`)

/** 28⁸ ≈ 3.8·10¹¹ codes, each as likely as any other. */
export const make: Effect.Effect<Redacted.Redacted<string>, never, SecureRandom.SecureRandom> = Effect.gen(
  function* () {
    const random = yield* SecureRandom.SecureRandom
    let code = ""
    for (let place = 0; place < 8; place++) {
      code += alphabet.charAt(yield* random.intBetween(0, alphabet.length, { halfOpen: true }))
    }
    return grouped(code)
  }
)

/** A code as it is stored and compared, from what was typed: case, spaces and hyphens do not matter. */
export const parse = (typed: Redacted.Redacted<string>): Option.Option<Redacted.Redacted<string>> => {
  const code = Redacted.value(typed).replaceAll(/[\s-]/g, "").toUpperCase()
  return form.test(code) ? Option.some(grouped(code)) : Option.none()
}

const grouped = (code: string) => Redacted.make(`${code.slice(0, 4)}-${code.slice(4)}`)
