import { assert, describe } from "@effect/vitest"
import { AccessTokens, type NewAccessToken } from "@edge-relay/domain/access-tokens/AccessTokens"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { AccessTokenId } from "@edge-relay/domain/ids/AccessTokenId"
import * as Secret from "@edge-relay/domain/Secret"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { DateTime, Effect, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { type It, missingEdge, newUser } from "./Fixtures.ts"

const create = Effect.fnUntraced(function* (
  user: Pick<NewAccessToken, "tenantId" | "userId">,
  changes: Partial<NewAccessToken> = {}
) {
  const tokens = yield* AccessTokens
  const issued = yield* tokens.create({
    ...user,
    issuer: "https://provider.test",
    subject: "alice",
    role: "operator",
    name: "ci",
    scopes: ["gateway", "edges:read"],
    reach: null,
    expiresAt: DateTime.add(yield* DateTime.now, { hours: 1 }),
    ...changes
  })
  return { ...issued, hash: yield* Secret.hash(issued.secret) }
})

const find = (hash: string) =>
  Effect.flatMap(AccessTokens, (tokens) => Effect.map(tokens.find(hash), Option.getOrUndefined))

export const suite = (name: string, it: It) =>
  describe(`AccessTokens in ${name}`, () => {
    it.effect("finds a token by its hash, as it was made, until the very moment it expires", () =>
      Effect.gen(function* () {
        const user = yield* newUser
        const reach = { ids: [yield* missingEdge], labels: ["ci", "gpu"] }
        const { hash, token } = yield* create(user, { reach })
        assert.deepStrictEqual(yield* find(hash), token)
        assert.deepStrictEqual([token.tenantId, token.userId], [user.tenantId, user.userId])
        assert.deepStrictEqual(token.scopes, ["edges:read", "gateway"])
        assert.isUndefined(yield* find(`${hash}x`))
        yield* TestClock.adjust("3599999 millis")
        assert.isDefined(yield* find(hash))
        yield* TestClock.adjust("1 millis")
        assert.isUndefined(yield* find(hash))
      })
    )

    it.effect("lists a person's tokens page by page, expired ones too, and no other person's", () =>
      Effect.gen(function* () {
        const tokens = yield* AccessTokens
        const user = yield* newUser
        const colleague = { ...(yield* newUser), tenantId: user.tenantId }
        const made = yield* Effect.forEach(["a", "b", "c"], (name) => create(user, { name }))
        yield* create(colleague)
        yield* TestClock.adjust("2 hours")
        const first = yield* tokens.list(user.tenantId, user.userId, { limit: 2 })
        const second = yield* tokens.list(user.tenantId, user.userId, {
          limit: 2,
          cursor: first.nextCursor ?? ""
        })
        const listed = [...first.items, ...second.items].map(({ id }) => id)
        assert.deepStrictEqual(listed, made.map(({ token }) => token.id).sort())
        assert.isNull(second.nextCursor)
        const wrong = tokens.list(user.tenantId, user.userId, { limit: 2, cursor: "x" })
        assert.strictEqual((yield* Effect.flip(wrong))._tag, "InvalidCursor")
        assert.deepStrictEqual(
          (yield* tokens.list(colleague.tenantId, user.userId, { limit: 9 })).items.length,
          3
        )
        assert.deepStrictEqual(
          (yield* tokens.list((yield* newUser).tenantId, user.userId, { limit: 9 })).items,
          []
        )
      })
    )

    it.effect("revokes a token for its owner alone, once", () =>
      Effect.gen(function* () {
        const tokens = yield* AccessTokens
        const user = yield* newUser
        const other = yield* newUser
        const { hash, token } = yield* create(user)
        for (const [tenantId, userId] of [
          [other.tenantId, user.userId],
          [user.tenantId, other.userId]
        ] as const) {
          assert.isTrue(Option.isNone(yield* tokens.revoke(tenantId, userId, token.id)))
        }
        assert.isDefined(yield* find(hash))
        const never = AccessTokenId.make(yield* TypeId.make("pat"))
        assert.isTrue(Option.isNone(yield* tokens.revoke(user.tenantId, user.userId, never)))
        const revoked = yield* tokens.revoke(user.tenantId, user.userId, token.id)
        assert.deepStrictEqual(Option.getOrUndefined(revoked), token)
        assert.isTrue(Option.isNone(yield* tokens.revoke(user.tenantId, user.userId, token.id)))
        assert.isUndefined(yield* find(hash))
        assert.deepStrictEqual((yield* tokens.list(user.tenantId, user.userId, { limit: 9 })).items, [])
      })
    )

    it.effect("tells which of many are live", () =>
      Effect.gen(function* () {
        const tokens = yield* AccessTokens
        const user = yield* newUser
        const expired = yield* create(user, { expiresAt: DateTime.add(yield* DateTime.now, { seconds: 1 }) })
        const revoked = yield* create(user)
        const live = yield* create(user)
        yield* tokens.revoke(user.tenantId, user.userId, revoked.token.id)
        yield* TestClock.adjust("1 second")
        const asked = [expired, revoked, live].map(({ token }) => token.id)
        assert.deepStrictEqual(yield* tokens.live(asked), [live.token.id])
        assert.deepStrictEqual(yield* tokens.live([]), [])
      })
    )

    it.effect("notes when a token was last used, and from where", () =>
      Effect.gen(function* () {
        const tokens = yield* AccessTokens
        const { hash, token } = yield* create(yield* newUser)
        assert.deepStrictEqual([token.lastUsedAt, token.lastUsedFrom], [null, null])
        const at = DateTime.add(yield* DateTime.now, { minutes: 5 })
        yield* tokens.used(token.id, at, "192.0.2.7")
        const found = yield* find(hash)
        assert.deepStrictEqual([found?.lastUsedAt, found?.lastUsedFrom], [at, "192.0.2.7"])
      })
    )

    it.effect("forgets tokens that expired before a time", () =>
      Effect.gen(function* () {
        const tokens = yield* AccessTokens
        const user = yield* newUser
        const { token } = yield* create(user)
        yield* tokens.prune(token.expiresAt)
        assert.strictEqual((yield* tokens.list(user.tenantId, user.userId, { limit: 9 })).items.length, 1)
        yield* tokens.prune(DateTime.add(token.expiresAt, { milliseconds: 1 }))
        assert.deepStrictEqual((yield* tokens.list(user.tenantId, user.userId, { limit: 9 })).items, [])
      })
    )

    it.effect("keeps nothing that opens anything", () =>
      Effect.gen(function* () {
        const { secret, token } = yield* create(yield* newUser)
        assert.notInclude(JSON.stringify(token), Redacted.value(secret))
        assert.match(Redacted.value(secret), /^erp_[0-9A-Za-z]{49}$/)
      })
    )

    it.effect("has edges listed by what it reaches: ids, or any of its labels, in their tenant", () =>
      Effect.gen(function* () {
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        const one = yield* edges.create(tenantId, { name: "one" })
        const two = yield* edges.create(tenantId, { name: "two", labels: ["ci", "gpu"] })
        yield* edges.create(tenantId, { name: "three", labels: ["cpu"] })
        const foreign = yield* edges.create((yield* newUser).tenantId, { name: "four", labels: ["ci"] })
        const list = (ids: ReadonlyArray<typeof one.id>, labels: ReadonlyArray<string>) =>
          Effect.map(edges.list(tenantId, { limit: 9, reach: { ids, labels } }), ({ items }) =>
            items.map(({ name }) => name)
          )
        assert.deepStrictEqual(yield* list([one.id, foreign.id], ["ci", "gpu"]), ["one", "two"])
        assert.deepStrictEqual(yield* list([], ["gpu"]), ["two"])
        assert.deepStrictEqual(yield* list([two.id], []), ["two"])
        assert.deepStrictEqual(yield* list([], []), [])
      })
    )
  })
