import { assert, describe } from "@effect/vitest"
import { DateTime, Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { PairingCodeId } from "@edge-relay/domain/ids/PairingCodeId"
import { PairingCode, PairingCodes } from "@edge-relay/domain/pairing/PairingCodes"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { garbage, type It, missingEdge, newUser, pairedEdge } from "./Fixtures.ts"

const isGood = (secret: Redacted.Redacted<string>) =>
  SessionTokens.use((tokens) => tokens.authenticate(secret)).pipe(
    Effect.as(true),
    Effect.catchTag("TokenRejected", () => Effect.succeed(false))
  )

/** Which tokens the events say were revoked, after an id. */
const revokedSince = Effect.fnUntraced(function* (id: number) {
  const events = yield* (yield* EdgeEvents).allSince(id, 100)
  return events.flatMap(({ type, tokenId }) => (type === "token.revoked" ? [tokenId] : []))
})

export const suite = (name: string, it: It) =>
  describe(`SessionTokens in ${name}`, () => {
    it.effect("knows whose token it is: 256 bits behind `ert_`", () =>
      Effect.gen(function* () {
        const tokens = yield* SessionTokens
        const { tenantId, userId } = yield* newUser
        const paired = yield* pairedEdge(tenantId, userId)
        assert.match(Redacted.value(paired.token), /^ert_[\w-]{43}$/)
        const { edgeId, ...rest } = yield* tokens.authenticate(paired.token)
        assert.strictEqual(edgeId, paired.edgeId)
        assert.strictEqual(rest.tenantId, tenantId)
      })
    )

    it.effect("rejects what it did not issue", () =>
      Effect.gen(function* () {
        for (const secret of [garbage, Redacted.make(""), Redacted.make("ert_"), Redacted.make("'\0€")]) {
          assert.isFalse(yield* isGood(secret))
        }
      })
    )

    it.effect("counts a token only once its code is used by that very token", () =>
      Effect.gen(function* () {
        const tokens = yield* SessionTokens
        const codes = yield* PairingCodes
        const { tenantId, userId } = yield* newUser
        const createdAt = yield* DateTime.now
        const id = PairingCodeId.make(yield* TypeId.make("code"))
        const code = new PairingCode({
          id,
          name: null,
          createdAt,
          expiresAt: DateTime.add(createdAt, { minutes: 1 })
        })
        yield* codes.insert(tenantId, userId, `hash ${id}`, code)
        const edges = yield* Edges
        const one = yield* edges.create(tenantId, { name: "one" })
        const two = yield* edges.create(tenantId, { name: "two" })
        const first = yield* tokens.issue(tenantId, one.id, id)
        const second = yield* tokens.issue(tenantId, two.id, id)
        assert.isFalse(yield* isGood(first.secret))
        const rejected = yield* Effect.flip(tokens.connected(first.tokenId))
        assert.strictEqual(rejected._tag, "TokenRejected")
        yield* codes.markUsed(tenantId, id, second.tokenId, createdAt)
        assert.isFalse(yield* isGood(first.secret))
        assert.isTrue(yield* isGood(second.secret))
        const orphan = yield* tokens.issue(tenantId, one.id, PairingCodeId.make(yield* TypeId.make("code")))
        assert.isFalse(yield* isGood(orphan.secret))
      })
    )

    it.effect("keeps the old token good until the new one has connected, and tells that it is revoked", () =>
      Effect.gen(function* () {
        const tokens = yield* SessionTokens
        const { tenantId, userId } = yield* newUser
        const { edgeId, token } = yield* pairedEdge(tenantId, userId)
        const old = yield* tokens.authenticate(token)
        assert.deepStrictEqual(yield* tokens.connected(old.tokenId), [])
        const renewed = yield* tokens.rotate(tenantId, edgeId)
        assert.isTrue(yield* isGood(token))
        assert.isTrue(yield* isGood(renewed.secret))
        assert.deepStrictEqual(yield* tokens.connected(old.tokenId), [])
        const before = yield* (yield* EdgeEvents).latest
        assert.deepStrictEqual(yield* tokens.connected(renewed.tokenId), [old.tokenId])
        assert.isFalse(yield* isGood(token))
        assert.isTrue(yield* isGood(renewed.secret))
        assert.deepStrictEqual(yield* revokedSince(before), [old.tokenId])
        assert.deepStrictEqual(yield* tokens.connected(renewed.tokenId), [])
        assert.strictEqual((yield* Effect.flip(tokens.connected(old.tokenId)))._tag, "TokenRejected")
      })
    )

    it.effect("keeps the old token good for 24 hours at most", () =>
      Effect.gen(function* () {
        const tokens = yield* SessionTokens
        const { tenantId, userId } = yield* newUser
        const { edgeId, token } = yield* pairedEdge(tenantId, userId)
        const { tokenId } = yield* tokens.authenticate(token)
        const { secret } = yield* tokens.rotate(tenantId, edgeId)
        yield* TestClock.adjust("23 hours")
        const third = yield* tokens.rotate(tenantId, edgeId)
        yield* TestClock.adjust("59 minutes")
        assert.isTrue(yield* isGood(token))
        yield* TestClock.adjust("1 minute")
        assert.isFalse(yield* isGood(token))
        assert.isTrue(yield* isGood(secret))
        const before = yield* (yield* EdgeEvents).latest
        assert.isAtLeast(yield* tokens.revokeReplaced, 1)
        assert.include(yield* revokedSince(before), tokenId)
        assert.strictEqual(yield* tokens.revokeReplaced, 0)
        yield* TestClock.adjust("23 hours")
        assert.isFalse(yield* isGood(secret))
        assert.isTrue(yield* isGood(third.secret))
      })
    )

    it.effect("revokes the older tokens only, when one of several rotations connects", () =>
      Effect.gen(function* () {
        const tokens = yield* SessionTokens
        const { tenantId, userId } = yield* newUser
        const { edgeId, token } = yield* pairedEdge(tenantId, userId)
        const b = yield* tokens.rotate(tenantId, edgeId)
        const c = yield* tokens.rotate(tenantId, edgeId)
        yield* tokens.connected(b.tokenId)
        const good = Effect.forEach([token, b.secret, c.secret], isGood)
        assert.deepStrictEqual(yield* good, [false, true, true])
        yield* tokens.connected(c.tokenId)
        assert.deepStrictEqual(yield* good, [false, false, true])
      })
    )

    it.effect("leaves one token of many rotations at once, when the last has connected", () =>
      Effect.gen(function* () {
        const tokens = yield* SessionTokens
        const { tenantId, userId } = yield* newUser
        const { edgeId, token } = yield* pairedEdge(tenantId, userId)
        const rotated = yield* Effect.forEach(Array(10).keys(), () => tokens.rotate(tenantId, edgeId), {
          concurrency: "unbounded"
        })
        yield* Effect.forEach(rotated, ({ tokenId }) => Effect.ignore(tokens.connected(tokenId)), {
          concurrency: "unbounded"
        })
        const good = yield* Effect.forEach([token, ...rotated.map(({ secret }) => secret)], isGood)
        assert.strictEqual(good.filter((is) => is).length, 1)
      })
    )

    it.effect("revokes one token, or all of an edge, and tells which", () =>
      Effect.gen(function* () {
        const tokens = yield* SessionTokens
        const { tenantId, userId } = yield* newUser
        const { edgeId, token } = yield* pairedEdge(tenantId, userId)
        const { tokenId } = yield* tokens.authenticate(token)
        const renewed = yield* tokens.rotate(tenantId, edgeId)
        const before = yield* (yield* EdgeEvents).latest
        assert.isTrue(yield* tokens.revoke(tenantId, tokenId))
        assert.isFalse(yield* tokens.revoke(tenantId, tokenId))
        assert.isFalse(yield* isGood(token))
        assert.isTrue(yield* isGood(renewed.secret))
        assert.deepStrictEqual(yield* tokens.revokeAllOf(tenantId, edgeId), [renewed.tokenId])
        assert.deepStrictEqual(yield* tokens.revokeAllOf(tenantId, edgeId), [])
        assert.isFalse(yield* isGood(renewed.secret))
        assert.deepStrictEqual(yield* revokedSince(before), [tokenId, renewed.tokenId])
        yield* TestClock.adjust("1 minute")
        yield* tokens.prune(yield* DateTime.now)
        assert.isFalse(yield* isGood(token))
      })
    )

    it.effect("lets no other tenant rotate or revoke", () =>
      Effect.gen(function* () {
        const tokens = yield* SessionTokens
        const { tenantId, userId } = yield* newUser
        const other = (yield* newUser).tenantId
        const { edgeId, token } = yield* pairedEdge(tenantId, userId)
        const { tokenId } = yield* tokens.authenticate(token)
        for (const id of [edgeId, yield* missingEdge]) {
          assert.strictEqual((yield* Effect.flip(tokens.rotate(other, id)))._tag, "EdgeNotFound")
          assert.deepStrictEqual(yield* tokens.revokeAllOf(other, id), [])
        }
        assert.isFalse(yield* tokens.revoke(other, tokenId))
        assert.isTrue(yield* isGood(token))
      })
    )

    it.effect("rejects the tokens of a removed edge", () =>
      Effect.gen(function* () {
        const tokens = yield* SessionTokens
        const { tenantId, userId } = yield* newUser
        const { edgeId, token } = yield* pairedEdge(tenantId, userId)
        const { tokenId } = yield* tokens.authenticate(token)
        yield* (yield* Edges).remove(tenantId, edgeId)
        assert.isFalse(yield* isGood(token))
        assert.strictEqual((yield* Effect.flip(tokens.connected(tokenId)))._tag, "TokenRejected")
      })
    )
  })
