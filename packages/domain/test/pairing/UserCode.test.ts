import { assert, it } from "@effect/vitest"
import { Effect, Option, Redacted, Schema } from "effect"
import * as UserCode from "../../src/pairing/UserCode.ts"
import { crypto } from "@edge-relay/testkit/contract/Fixtures"

it.effect("makes codes of two groups of four, which read back as themselves", () =>
  Effect.gen(function* () {
    const seen = new Set<string>()
    for (let n = 0; n < 500; n++) {
      const code = yield* UserCode.make
      assert.match(
        Redacted.value(code),
        /^[BCDFGHJKLMNPQRSTVWXZ23456789]{4}-[BCDFGHJKLMNPQRSTVWXZ23456789]{4}$/
      )
      assert.deepStrictEqual(UserCode.parse(code), Option.some(code))
      for (const character of Redacted.value(code)) seen.add(character)
    }
    assert.strictEqual(seen.size, 29)
  }).pipe(Effect.provide(crypto))
)

it("takes a code in any case, with hyphens and spaces anywhere", () => {
  for (const typed of ["bcdf2345", "BCDF-2345", " b c d f - 2 3 4 5\t", "bc-df-23-45"]) {
    const parsed = Option.map(UserCode.parse(Redacted.make(typed)), Redacted.value)
    assert.deepStrictEqual(parsed, Option.some("BCDF-2345"))
  }
})

it("refuses what no code can be", () => {
  for (const typed of [
    "",
    "BCDF-234",
    "BCDF-23456",
    "ACDF-2345",
    "BCDF-2341",
    "BCDF-2340",
    "ＢCDF-2345",
    "BCDF_2345"
  ]) {
    assert.isTrue(Option.isNone(UserCode.parse(Redacted.make(typed))))
  }
})

it.prop("answers to anything that is typed", [Schema.String], ([typed]) => {
  UserCode.parse(Redacted.make(typed))
})
