import { assert, describe } from "@effect/vitest"
import { AccessTokens, textMillis } from "@edge-relay/domain/access-tokens/AccessTokens"
import * as Secret from "@edge-relay/domain/Secret"
import { TerminalSignIn } from "@edge-relay/domain/sign-in/TerminalSignIn"
import { DateTime, Duration, Effect, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { garbage, type It, newUser } from "./Fixtures.ts"

const absolute = Duration.days(7)

const setup = Effect.gen(function* () {
  const signIn = yield* TerminalSignIn
  const tokens = yield* AccessTokens
  const user = {
    ...(yield* newUser),
    issuer: "https://provider.test",
    subject: "alice",
    role: "operator" as const
  }
  const begun = yield* signIn.begin({ hostname: "laptop", address: "192.0.2.7" })
  /** Why a poll gives nothing. */
  const refusal = Effect.map(Effect.flip(signIn.poll(begun.deviceCode)), (error) =>
    error._tag === "PollRefused" ? error.reason : error._tag
  )
  const approved = Effect.gen(function* () {
    yield* signIn.decide("approved", user, begun.userCode)
    return yield* signIn.poll(begun.deviceCode)
  })
  const isGood = (secret: Redacted.Redacted<string>) =>
    Effect.flatMap(Secret.hash(secret), (hash) => Effect.map(tokens.find(hash), Option.isSome))
  return { signIn, tokens, user, begun, refusal, approved, isGood }
}).pipe(Effect.provide(TerminalSignIn.layer({ absolute }), { local: true }))

export const suite = (name: string, it: It) =>
  describe(`A sign-in from a terminal in ${name}`, () => {
    it.effect("is given once it is approved, once, for the person who did", () =>
      Effect.gen(function* () {
        const { approved, begun, refusal, signIn, user } = yield* setup
        assert.strictEqual(yield* refusal, "authorization_pending")
        const typed = Redacted.make(Redacted.value(begun.userCode).toLowerCase().replace("-", " "))
        assert.strictEqual((yield* signIn.request(typed)).hostname, "laptop")
        yield* TestClock.adjust("5 seconds")
        const { token } = yield* approved
        const { issuer, role, subject, tenantId, terminal, userId } = token
        assert.deepStrictEqual({ issuer, role, subject, tenantId, userId }, user)
        assert.deepStrictEqual(terminal, { hostname: "laptop", address: "192.0.2.7" })
        assert.strictEqual(yield* refusal, "expired_token")
        assert.strictEqual((yield* Effect.flip(signIn.request(begun.userCode)))._tag, "CodeNotOpen")
      })
    )

    it.effect("is given to one of fifty polls at once", () =>
      Effect.gen(function* () {
        const { begun, signIn, tokens, user } = yield* setup
        yield* signIn.decide("approved", user, begun.userCode)
        const given = yield* Effect.forEach(
          Array(50).keys(),
          () => Effect.option(signIn.poll(begun.deviceCode)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(given.filter(Option.isSome).length, 1)
        assert.strictEqual((yield* tokens.terminals(user.tenantId, user.userId)).length, 1)
      })
    )

    it.effect("is not given where it was denied, polled too soon, or ten minutes have passed", () =>
      Effect.gen(function* () {
        const denied = yield* setup
        yield* denied.signIn.decide("denied", denied.user, denied.begun.userCode)
        assert.strictEqual(yield* denied.refusal, "access_denied")
        const again = denied.signIn.decide("approved", denied.user, denied.begun.userCode)
        assert.strictEqual((yield* Effect.flip(again))._tag, "CodeNotOpen")

        const early = yield* setup
        assert.strictEqual(yield* early.refusal, "authorization_pending")
        assert.strictEqual(yield* early.refusal, "slow_down")

        const late = yield* setup
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(yield* late.refusal, "expired_token")
        assert.strictEqual((yield* Effect.flip(late.approved))._tag, "CodeNotOpen")
        assert.strictEqual((yield* Effect.flip(late.signIn.poll(garbage)))._tag, "PollRefused")
      })
    )

    it.effect("has a text for an hour, and a new one and a new refresh token for each refresh", () =>
      Effect.gen(function* () {
        const { approved, isGood, tokens } = yield* setup
        const first = yield* approved
        assert.strictEqual(
          first.token.expiresAt.epochMilliseconds,
          (yield* DateTime.now).epochMilliseconds + textMillis
        )
        yield* TestClock.adjust("1 hour")
        assert.isFalse(yield* isGood(first.secret))
        assert.deepStrictEqual(yield* tokens.live([first.token.id]), [first.token.id])
        const second = yield* tokens.refresh(first.refresh)
        assert.strictEqual(second.token.id, first.token.id)
        assert.isTrue(yield* isGood(second.secret))
        const third = yield* tokens.refresh(second.refresh)
        assert.deepStrictEqual(
          yield* Effect.forEach([first, second, third], ({ secret }) => isGood(secret)),
          [false, false, true]
        )
      })
    )

    it.effect("ends when a refresh token is used twice, with what came of it", () =>
      Effect.gen(function* () {
        const { approved, isGood, tokens, user } = yield* setup
        const first = yield* approved
        const second = yield* tokens.refresh(first.refresh)
        const third = yield* tokens.refresh(second.refresh)
        const rejected = yield* Effect.flip(tokens.refresh(first.refresh))
        assert.strictEqual(rejected._tag === "RefreshRejected" && rejected.reused?.id, first.token.id)
        assert.isFalse(yield* isGood(third.secret))
        assert.deepStrictEqual(yield* tokens.terminals(user.tenantId, user.userId), [])
        assert.deepStrictEqual(yield* tokens.live([first.token.id]), [])
        const after = yield* Effect.flip(tokens.refresh(third.refresh))
        assert.isNull(after._tag === "RefreshRejected" ? after.reused : undefined)
      })
    )

    it.effect("is refreshed by one of many at once, and the others end it", () =>
      Effect.gen(function* () {
        const { approved, tokens } = yield* setup
        const { refresh, token } = yield* approved
        const given = yield* Effect.forEach(Array(10).keys(), () => Effect.option(tokens.refresh(refresh)), {
          concurrency: "unbounded"
        })
        assert.strictEqual(given.filter(Option.isSome).length, 1)
        assert.deepStrictEqual(yield* tokens.live([token.id]), [])
      })
    )

    it.effect("ends after its absolute time, whatever is refreshed", () =>
      Effect.gen(function* () {
        const { approved, isGood, tokens, user } = yield* setup
        const first = yield* approved
        yield* TestClock.adjust(Duration.subtract(absolute, Duration.minutes(1)))
        const last = yield* tokens.refresh(first.refresh)
        assert.deepStrictEqual(last.token.expiresAt, first.token.endsAt)
        yield* TestClock.adjust("1 minute")
        assert.isFalse(yield* isGood(last.secret))
        assert.strictEqual((yield* Effect.flip(tokens.refresh(last.refresh)))._tag, "RefreshRejected")
        assert.deepStrictEqual(yield* tokens.terminals(user.tenantId, user.userId), [])
      })
    )

    it.effect("is listed to its person alone, beside no personal token, and ended by them", () =>
      Effect.gen(function* () {
        const { approved, tokens, user } = yield* setup
        const { refresh, secret, token } = yield* approved
        assert.deepStrictEqual(yield* tokens.terminals(user.tenantId, user.userId), [token])
        const other = yield* newUser
        assert.deepStrictEqual(yield* tokens.terminals(other.tenantId, user.userId), [])
        assert.deepStrictEqual(yield* tokens.terminals(user.tenantId, other.userId), [])
        assert.deepStrictEqual((yield* tokens.list(user.tenantId, user.userId, { limit: 9 })).items, [])
        yield* tokens.revoke(user.tenantId, user.userId, token.id)
        assert.strictEqual((yield* Effect.flip(tokens.refresh(refresh)))._tag, "RefreshRejected")
        assert.match(Redacted.value(secret), /^erp_/)
        assert.match(Redacted.value(refresh), /^err_[\w-]{43}$/)
      })
    )
  })
