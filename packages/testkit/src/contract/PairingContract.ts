import { assert, describe } from "@effect/vitest"
import { Effect, Option, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { Pairing } from "@edge-relay/domain/pairing/Pairing"
import { PairingCodes } from "@edge-relay/domain/pairing/PairingCodes"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { PairingCodeId } from "@edge-relay/domain/ids/PairingCodeId"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { type It, newUser } from "./Fixtures.ts"

const pairing = Effect.provide(Pairing, Pairing.layer, { local: true })

const refusal = <A, R>(poll: Effect.Effect<A, { readonly _tag: string; readonly reason?: string }, R>) =>
  Effect.map(Effect.flip(poll), ({ _tag, reason }) => reason ?? _tag)

export const suite = (name: string, it: It) => {
  describe(`Pairing by code in ${name}`, () => {
    it.effect("gives an edge and its token for a code, however it is typed, once", () =>
      Effect.gen(function* () {
        const { createCode, exchange } = yield* pairing
        const { tenantId, userId } = yield* newUser
        const { code } = yield* createCode(tenantId, userId, { name: "kitchen" })
        assert.match(Redacted.value(code), /^[BCDFGHJKLMNPQRSTVWXZ2-9]{4}-[BCDFGHJKLMNPQRSTVWXZ2-9]{4}$/)
        const typed = Redacted.make(` ${Redacted.value(code).toLowerCase().replace("-", " ")} `)
        const before = yield* (yield* EdgeEvents).latest
        const paired = yield* exchange({ code: typed, name: "own name", hostname: "jetson" })
        assert.strictEqual(paired.tenantId, tenantId)
        const edge = yield* (yield* Edges).get(tenantId, paired.edgeId)
        assert.strictEqual(edge.name, "kitchen")
        const token = yield* (yield* SessionTokens).authenticate(paired.token)
        assert.strictEqual(token.edgeId, paired.edgeId)
        assert.strictEqual((yield* Effect.flip(exchange({ code })))._tag, "CodeNotOpen")
        const { events } = yield* (yield* EdgeEvents).since(tenantId, before, 10)
        assert.deepStrictEqual(
          events.map((event) => [event.type, event.edgeId]),
          [["edge.updated", edge.id]]
        )
      })
    )

    it.effect("calls the edge by its own name where the code has none, or by its host's", () =>
      Effect.gen(function* () {
        const { createCode, exchange } = yield* pairing
        const { tenantId, userId } = yield* newUser
        const nameOf = Effect.fnUntraced(function* (request: object) {
          const { code } = yield* createCode(tenantId, userId, {})
          const { edgeId } = yield* exchange({ code, ...request })
          return (yield* (yield* Edges).get(tenantId, edgeId)).name
        })
        assert.strictEqual(yield* nameOf({ name: "own name", hostname: "jetson" }), "own name")
        assert.strictEqual(yield* nameOf({ hostname: "jetson" }), "jetson")
        assert.strictEqual(yield* nameOf({}), "Unnamed edge")
      })
    )

    it.effect("answers alike to a code that is unknown, malformed, expired, used or cancelled", () =>
      Effect.gen(function* () {
        const { createCode, exchange, cancelCode } = yield* pairing
        const { tenantId, userId } = yield* newUser
        const used = yield* createCode(tenantId, userId, {})
        yield* exchange({ code: used.code })
        const cancelled = yield* createCode(tenantId, userId, {})
        yield* cancelCode(tenantId, cancelled.id)
        const expired = yield* createCode(tenantId, userId, {})
        yield* TestClock.adjust("10 minutes")
        const errors = yield* Effect.forEach(
          [
            used.code,
            cancelled.code,
            expired.code,
            ...["BCDF-2345", "", "AEIO-U011", "é".repeat(9)].map((text) => Redacted.make(text))
          ],
          (code) => Effect.flip(exchange({ code }))
        )
        assert.strictEqual(new Set(errors.map((error) => `${error._tag} ${error.message}`)).size, 1)
      })
    )

    it.effect("lists and cancels a tenant's own open codes", () =>
      Effect.gen(function* () {
        const { createCode, listCodes, cancelCode } = yield* pairing
        const { tenantId, userId } = yield* newUser
        const other = yield* newUser
        const { id, expiresAt } = yield* createCode(tenantId, userId, { name: "a" })
        const { items } = yield* listCodes(tenantId, { limit: 5 })
        assert.deepStrictEqual(
          items.map((code) => [code.id, code.name, code.expiresAt]),
          [[id, "a", expiresAt]]
        )
        assert.deepStrictEqual((yield* listCodes(other.tenantId, { limit: 5 })).items, [])
        for (const code of [id, PairingCodeId.make(yield* TypeId.make("code"))]) {
          assert.strictEqual((yield* Effect.flip(cancelCode(other.tenantId, code)))._tag, "CodeNotOpen")
        }
        yield* cancelCode(tenantId, id)
        assert.strictEqual((yield* Effect.flip(cancelCode(tenantId, id)))._tag, "CodeNotOpen")
      })
    )

    it.effect("gives one token for fifty exchanges of one code at once, and one edge", () =>
      Effect.gen(function* () {
        const { createCode, exchange } = yield* pairing
        const { tenantId, userId } = yield* newUser
        const { id, code } = yield* createCode(tenantId, userId, {})
        const results = yield* Effect.forEach(Array(50).keys(), () => Effect.result(exchange({ code })), {
          concurrency: "unbounded"
        })
        const paired = results.flatMap((result) => (Result.isSuccess(result) ? [result.success] : []))
        assert.strictEqual(paired.length, 1)
        const failures = results.flatMap((result) => (Result.isFailure(result) ? [result.failure._tag] : []))
        assert.deepStrictEqual(new Set(failures), new Set(["CodeNotOpen"]))
        const { items } = yield* (yield* Edges).list(tenantId, { limit: 100 })
        assert.deepStrictEqual(
          items.map((edge) => edge.id),
          paired.map(({ edgeId }) => edgeId)
        )
        const usedBy = yield* (yield* PairingCodes).usedBy(id)
        const [winner] = yield* Effect.forEach(paired, ({ token }) =>
          SessionTokens.use((tokens) => tokens.authenticate(token))
        )
        assert.deepStrictEqual(usedBy, Option.fromUndefinedOr(winner?.tokenId))
      })
    )
  })

  describe(`Pairing begun at the edge in ${name}`, () => {
    it.effect("gives the token to the device once somebody has approved", () =>
      Effect.gen(function* () {
        const { begin, poll, request, approve } = yield* pairing
        const { tenantId, userId } = yield* newUser
        const begun = yield* begin({ hostname: "jetson", name: "kitchen", address: "192.0.2.7" })
        assert.deepInclude(begun, { expiresInSeconds: 600, intervalSeconds: 5 })
        assert.strictEqual(yield* refusal(poll(begun.deviceCode)), "authorization_pending")
        const asked = yield* request(Redacted.make(Redacted.value(begun.userCode).toLowerCase()))
        assert.deepInclude(asked, { hostname: "jetson", name: "kitchen", address: "192.0.2.7" })
        assert.deepStrictEqual(yield* approve(tenantId, userId, begun.userCode), asked)
        assert.strictEqual((yield* Effect.flip(request(begun.userCode)))._tag, "CodeNotOpen")
        assert.strictEqual(
          (yield* Effect.flip(approve(tenantId, userId, begun.userCode)))._tag,
          "CodeNotOpen"
        )
        const paired = yield* poll(begun.deviceCode)
        assert.strictEqual((yield* (yield* Edges).get(tenantId, paired.edgeId)).name, "kitchen")
        const token = yield* (yield* SessionTokens).authenticate(paired.token)
        assert.deepInclude(token, { tenantId, edgeId: paired.edgeId })
        assert.strictEqual(yield* refusal(poll(begun.deviceCode)), "expired_token")
      })
    )

    it.effect("gives one token to fifty polls at once", () =>
      Effect.gen(function* () {
        const { begin, poll, approve } = yield* pairing
        const { tenantId, userId } = yield* newUser
        const { deviceCode, userCode } = yield* begin({ hostname: "jetson" })
        yield* approve(tenantId, userId, userCode)
        const results = yield* Effect.forEach(Array(50).keys(), () => Effect.result(poll(deviceCode)), {
          concurrency: "unbounded"
        })
        assert.strictEqual(results.filter(Result.isSuccess).length, 1)
        assert.strictEqual(yield* (yield* Edges).count(tenantId), 1)
      })
    )

    it.effect("says slow_down to one that polls faster than it was told, and asks more time of it", () =>
      Effect.gen(function* () {
        const { begin, poll } = yield* pairing
        const { deviceCode } = yield* begin({ hostname: "jetson" })
        assert.strictEqual(yield* refusal(poll(deviceCode)), "authorization_pending")
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* refusal(poll(deviceCode)), "slow_down")
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* refusal(poll(deviceCode)), "slow_down")
        yield* TestClock.adjust("15 seconds")
        assert.strictEqual(yield* refusal(poll(deviceCode)), "authorization_pending")
      })
    )

    it.effect("refuses a denied, an expired and an unknown request", () =>
      Effect.gen(function* () {
        const { begin, poll, approve, deny } = yield* pairing
        const { tenantId, userId } = yield* newUser
        const denied = yield* begin({ hostname: "a" })
        yield* deny(tenantId, userId, denied.userCode)
        assert.strictEqual(yield* refusal(poll(denied.deviceCode)), "access_denied")
        const approved = yield* begin({ hostname: "b" })
        yield* approve(tenantId, userId, approved.userCode)
        const pending = yield* begin({ hostname: "c" })
        yield* TestClock.adjust("10 minutes")
        for (const code of [
          approved.deviceCode,
          pending.deviceCode,
          denied.deviceCode,
          Redacted.make("unknown")
        ]) {
          assert.strictEqual(yield* refusal(poll(code)), "expired_token")
        }
        const error = yield* Effect.flip(approve(tenantId, userId, pending.userCode))
        assert.strictEqual(error._tag, "CodeNotOpen")
        assert.strictEqual(yield* (yield* Edges).count(tenantId), 0)
      })
    )

    it.effect("does not take one kind of code for the other", () =>
      Effect.gen(function* () {
        const { begin, poll, createCode, exchange, request } = yield* pairing
        const { tenantId, userId } = yield* newUser
        const { userCode } = yield* begin({ hostname: "a" })
        const { code } = yield* createCode(tenantId, userId, {})
        assert.strictEqual((yield* Effect.flip(exchange({ code: userCode })))._tag, "CodeNotOpen")
        assert.strictEqual((yield* Effect.flip(request(code)))._tag, "CodeNotOpen")
        assert.strictEqual(yield* refusal(poll(userCode)), "expired_token")
      })
    )
  })
}
