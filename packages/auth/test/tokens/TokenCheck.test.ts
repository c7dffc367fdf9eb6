import * as AccessTokenSecret from "@edge-relay/domain/access-tokens/AccessTokenSecret"
import { AccessTokens } from "@edge-relay/domain/access-tokens/AccessTokens"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { crypto, newUser } from "@edge-relay/testkit/contract/Fixtures"
import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { TokenCheck } from "../../src/tokens/TokenCheck.ts"

/** Tokens in memory, which count what they are asked and may be away; and two servers that check by them. */
const setup = Effect.gen(function* () {
  const memory = Context.get(yield* Layer.build(AccessTokens.layerMemory), AccessTokens)
  const asked = { find: 0, live: 0, used: [] as Array<string>, away: false }
  const away = new StorageUnavailable({ operation: "test", cause: "away" })
  const ask = <A>(effect: Effect.Effect<A, StorageUnavailable>) =>
    Effect.suspend(() => (asked.away ? Effect.fail(away) : effect))
  const counted = AccessTokens.of({
    ...memory,
    find: (hash) => ask((asked.find++, memory.find(hash))),
    live: (ids) => ask((asked.live++, memory.live(ids))),
    used: (id, at, address) => ask((asked.used.push(address), memory.used(id, at, address)))
  })
  const server = Effect.map(
    Layer.build(Layer.fresh(TokenCheck.layer).pipe(Layer.provide(Layer.succeed(AccessTokens, counted)))),
    (built) => Context.get(built, TokenCheck)
  )
  const user = yield* newUser
  const { secret, token } = yield* memory.create({
    ...user,
    issuer: "https://provider.test",
    subject: "alice",
    role: "admin",
    name: "ci",
    scopes: ["gateway"],
    reach: null,
    expiresAt: DateTime.add(yield* DateTime.now, { minutes: 5 })
  })
  const revoke = memory.revoke(user.tenantId, user.userId, token.id)
  return { asked, check: yield* server, other: yield* server, revoke, text: Redacted.value(secret), token }
})

const isKnown = (check: TokenCheck["Service"], text: string) => Effect.map(check.find(text), Option.isSome)

describe("TokenCheck", () => {
  it.effect("asks once in half a second, and knows a revoked token no longer within one", () =>
    Effect.gen(function* () {
      const { asked, check, revoke, text, token } = yield* setup
      for (let count = 0; count < 20; count++) assert.isTrue(yield* isKnown(check, text))
      assert.strictEqual(asked.find, 1)
      assert.strictEqual(check.peek(text, 0)?.id, token.id)
      yield* revoke
      yield* TestClock.adjust("1 second")
      assert.isUndefined(check.peek(text, 1000))
      assert.isFalse(yield* isKnown(check, text))
    }).pipe(Effect.provide(crypto))
  )

  it.effect("knows a token no longer from the very moment it expires, whatever is kept", () =>
    Effect.gen(function* () {
      const { check, text } = yield* setup
      yield* TestClock.adjust("299900 millis")
      assert.isTrue(yield* isKnown(check, text))
      yield* TestClock.adjust("100 millis")
      assert.isUndefined(check.peek(text, 300_000))
      assert.isFalse(yield* isKnown(check, text))
    }).pipe(Effect.provide(crypto))
  )

  it.effect("asks nobody about what has not its form and checksum", () =>
    Effect.gen(function* () {
      const { asked, check, text } = yield* setup
      for (const wrong of ["", "erp_", `${text}0`, text.slice(0, -1), "erp_\0€"]) {
        assert.isFalse(yield* isKnown(check, wrong))
        assert.isUndefined(check.peek(wrong, 0))
      }
      assert.strictEqual(asked.find, 0)
      const never = Redacted.value(yield* AccessTokenSecret.make)
      assert.isFalse(yield* isKnown(check, never))
      assert.strictEqual(asked.find, 1)
    }).pipe(Effect.provide(crypto))
  )

  it.effect(
    "tells of a revoked token within a second, in every server, once, and not whoever stopped to listen",
    () =>
      Effect.gen(function* () {
        const { check, other, revoke, token } = yield* setup
        const told: Array<string> = []
        check.watch(token, () => told.push("here"))
        other.watch(token, () => told.push("there"))
        check.watch(token, () => told.push("nobody"))()
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(told, [])
        yield* revoke
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(told.toSorted(), ["here", "there"])
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(told.length, 2)
      }).pipe(Effect.provide(crypto))
  )

  it.effect("tells of an expired token within a second, also while the database is away", () =>
    Effect.gen(function* () {
      const { asked, check, token } = yield* setup
      let told = 0
      check.watch(token, () => told++)
      asked.away = true
      yield* TestClock.adjust("299 seconds")
      assert.strictEqual(told, 0)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(told, 1)
    }).pipe(Effect.provide(crypto))
  )

  it.effect("looks for nothing while nobody listens", () =>
    Effect.gen(function* () {
      const { asked, check, token } = yield* setup
      const stop = check.watch(token, () => {})
      yield* TestClock.adjust("1 second")
      assert.isAbove(asked.live, 0)
      stop()
      const before = asked.live
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(asked.live, before)
    }).pipe(Effect.provide(crypto))
  )

  it.effect("notes the use once a minute, and when the address changes", () =>
    Effect.gen(function* () {
      const { asked, check, token } = yield* setup
      const use = (address: string, at: number) => {
        check.touch(token, address, at)
        return Effect.yieldNow
      }
      for (let at = 0; at < 60_000; at += 1000) yield* use("192.0.2.1", at)
      yield* use("192.0.2.1", 60_000)
      yield* use("192.0.2.2", 60_001)
      assert.deepStrictEqual(asked.used, ["192.0.2.1", "192.0.2.1", "192.0.2.2"])
    }).pipe(Effect.provide(crypto))
  )
})
