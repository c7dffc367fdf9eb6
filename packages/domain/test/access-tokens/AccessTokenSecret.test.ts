import { assert, describe, it } from "@effect/vitest"
import * as AccessTokenSecret from "@edge-relay/domain/access-tokens/AccessTokenSecret"
import { crypto } from "@edge-relay/testkit/contract/Fixtures"
import { Effect, Redacted } from "effect"
import { crc32 } from "node:zlib"

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const newText = Effect.map(AccessTokenSecret.make, Redacted.value)

describe("AccessTokenSecret", () => {
  it.effect("is erp_, 43 characters of base 62 and their CRC-32 in 6 more", () =>
    Effect.gen(function* () {
      for (const text of yield* Effect.replicateEffect(newText, 200)) {
        const [, random = "", sum = ""] = /^erp_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/.exec(text) ?? []
        const value = Array.from(sum).reduce((value, digit) => value * 62 + alphabet.indexOf(digit), 0)
        assert.strictEqual(value, crc32(random))
        assert.isTrue(AccessTokenSecret.isWellFormed(text))
      }
    }).pipe(Effect.provide(crypto))
  )

  it.effect("is told from a text with any other character, and from any part of it", () =>
    Effect.gen(function* () {
      const text = yield* newText
      for (let at = 0; at < text.length; at++) {
        const other = text[at] === "7" ? "8" : "7"
        assert.isFalse(
          AccessTokenSecret.isWellFormed(text.slice(0, at) + other + text.slice(at + 1)),
          `${at}`
        )
        assert.isFalse(AccessTokenSecret.isWellFormed(text.slice(0, at)))
      }
      for (const wrong of ["", `${text} `, `${text}\n`, text.replace("erp_", "ert_")]) {
        assert.isFalse(AccessTokenSecret.isWellFormed(wrong))
      }
    }).pipe(Effect.provide(crypto))
  )

  it.effect("uses every character of the alphabet about alike", () =>
    Effect.gen(function* () {
      const counts = new Map<string, number>()
      for (const text of yield* Effect.replicateEffect(newText, 1000)) {
        for (const character of text.slice(4, 47)) counts.set(character, (counts.get(character) ?? 0) + 1)
      }
      assert.strictEqual(counts.size, 62)
      // 694 of each are expected; a bias of the alphabet's first eight would add a quarter.
      for (const count of counts.values()) assert.isTrue(count > 540 && count < 850, `${count}`)
    }).pipe(Effect.provide(crypto))
  )
})
