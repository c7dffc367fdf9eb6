import { assert, describe } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import type { UserId } from "@edge-relay/domain/ids/UserId"
import { PairingCodeId } from "@edge-relay/domain/ids/PairingCodeId"
import { PairingCode, PairingCodes } from "@edge-relay/domain/pairing/PairingCodes"
import type { TokenId } from "@edge-relay/domain/ids/TokenId"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { Edges } from "@edge-relay/domain/edges/Edges"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { type It, newUser } from "./Fixtures.ts"

const insert = Effect.fnUntraced(function* (tenantId: TenantId, userId: UserId, name: string | null = null) {
  const codes = yield* PairingCodes
  const createdAt = yield* DateTime.now
  const id = PairingCodeId.make(yield* TypeId.make("code"))
  const code = new PairingCode({ id, name, createdAt, expiresAt: DateTime.add(createdAt, { minutes: 10 }) })
  const hash = `hash of ${id}`
  assert.isTrue(yield* codes.insert(tenantId, userId, hash, code))
  return { code, hash }
})

/** A token that may mark the code. */
const tokenFor = Effect.fnUntraced(function* (tenantId: TenantId, id: PairingCodeId) {
  const edge = yield* (yield* Edges).create(tenantId, { name: "edge" })
  return (yield* (yield* SessionTokens).issue(tenantId, edge.id, id)).tokenId
})

export const suite = (name: string, it: It) =>
  describe(`PairingCodes in ${name}`, () => {
    it.effect("finds a code by its hash until the very moment it expires", () =>
      Effect.gen(function* () {
        const codes = yield* PairingCodes
        const { tenantId, userId } = yield* newUser
        const { code, hash } = yield* insert(tenantId, userId, "kitchen")
        const found = Option.getOrUndefined(yield* codes.findOpen(hash, code.createdAt))
        assert.deepStrictEqual(found?.code, code)
        assert.strictEqual(found?.tenantId, tenantId)
        const lastMoment = DateTime.subtract(code.expiresAt, { milliseconds: 1 })
        assert.isTrue(Option.isSome(yield* codes.findOpen(hash, lastMoment)))
        assert.isTrue(Option.isNone(yield* codes.findOpen(hash, code.expiresAt)))
        assert.isTrue(Option.isNone(yield* codes.findOpen("another", code.createdAt)))
      })
    )

    it.effect("stores no second code of the same hash", () =>
      Effect.gen(function* () {
        const codes = yield* PairingCodes
        const { tenantId, userId } = yield* newUser
        const { code, hash } = yield* insert(tenantId, userId)
        const twin = new PairingCode({ ...code, id: PairingCodeId.make(yield* TypeId.make("code")) })
        assert.isFalse(yield* codes.insert(tenantId, userId, hash, twin))
        assert.deepStrictEqual((yield* codes.list(tenantId, code.createdAt, { limit: 5 })).items, [code])
      })
    )

    it.effect("lists a tenant's open codes, page by page", () =>
      Effect.gen(function* () {
        const codes = yield* PairingCodes
        const { tenantId, userId } = yield* newUser
        const first = yield* insert(tenantId, userId)
        const second = yield* insert(tenantId, userId, "second")
        yield* insert((yield* newUser).tenantId, userId)
        const now = first.code.createdAt
        const page = yield* codes.list(tenantId, now, { limit: 1 })
        assert.deepStrictEqual(page.items, [first.code])
        const next = yield* codes.list(tenantId, now, { limit: 1, cursor: page.nextCursor ?? undefined })
        assert.deepStrictEqual(next, { items: [second.code], nextCursor: null })
        assert.deepStrictEqual((yield* codes.list(tenantId, first.code.expiresAt, { limit: 5 })).items, [])
        const error = yield* Effect.flip(codes.list(tenantId, now, { limit: 1, cursor: "no" }))
        assert.strictEqual(error._tag, "InvalidCursor")
      })
    )

    it.effect("cancels a tenant's own open code, once", () =>
      Effect.gen(function* () {
        const codes = yield* PairingCodes
        const { tenantId, userId } = yield* newUser
        const { code, hash } = yield* insert(tenantId, userId)
        const now = code.createdAt
        assert.isFalse(yield* codes.cancel((yield* newUser).tenantId, code.id, now))
        assert.isFalse(yield* codes.cancel(tenantId, code.id, code.expiresAt))
        assert.isTrue(yield* codes.cancel(tenantId, code.id, now))
        assert.isFalse(yield* codes.cancel(tenantId, code.id, now))
        assert.isTrue(Option.isNone(yield* codes.findOpen(hash, now)))
      })
    )

    it.effect("is used by one token, of many that try at once", () =>
      Effect.gen(function* () {
        const codes = yield* PairingCodes
        const { tenantId, userId } = yield* newUser
        const { code, hash } = yield* insert(tenantId, userId)
        const now = code.createdAt
        const tokens = yield* Effect.forEach(Array(20).keys(), () => tokenFor(tenantId, code.id))
        const marked = yield* Effect.forEach(
          tokens,
          (tokenId) =>
            Effect.map(codes.markUsed(tenantId, code.id, tokenId, now), (won) => (won ? [tokenId] : [])),
          { concurrency: "unbounded" }
        )
        const winners: ReadonlyArray<TokenId> = marked.flat()
        assert.strictEqual(winners.length, 1)
        assert.deepStrictEqual(yield* codes.usedBy(code.id), Option.fromUndefinedOr(winners[0]))
        assert.isTrue(Option.isNone(yield* codes.findOpen(hash, now)))
        assert.isFalse(yield* codes.cancel(tenantId, code.id, now))
      })
    )

    it.effect("cannot be used by another tenant, nor after it has expired", () =>
      Effect.gen(function* () {
        const codes = yield* PairingCodes
        const { tenantId, userId } = yield* newUser
        const { code } = yield* insert(tenantId, userId)
        const tokenId = yield* tokenFor(tenantId, code.id)
        assert.isFalse(yield* codes.markUsed((yield* newUser).tenantId, code.id, tokenId, code.createdAt))
        assert.isFalse(yield* codes.markUsed(tenantId, code.id, tokenId, code.expiresAt))
        assert.deepStrictEqual(yield* codes.usedBy(code.id), Option.none())
      })
    )

    it.effect("drops what expired unused, and keeps what was used", () =>
      Effect.gen(function* () {
        const codes = yield* PairingCodes
        const { tenantId, userId } = yield* newUser
        const unused = yield* insert(tenantId, userId)
        const used = yield* insert(tenantId, userId)
        const now = used.code.createdAt
        const tokenId = yield* tokenFor(tenantId, used.code.id)
        yield* codes.markUsed(tenantId, used.code.id, tokenId, now)
        yield* codes.prune(DateTime.add(unused.code.expiresAt, { milliseconds: 1 }))
        assert.isTrue(Option.isNone(yield* codes.findOpen(unused.hash, now)))
        assert.deepStrictEqual(yield* codes.usedBy(used.code.id), Option.some(tokenId))
      })
    )
  })
