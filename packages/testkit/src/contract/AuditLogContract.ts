import { assert, describe } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { TestClock } from "effect/testing"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { type It, missingEdge, newUser } from "./Fixtures.ts"

export const suite = (name: string, it: It) =>
  describe(`AuditLog in ${name}`, () => {
    it.effect("gives back all that was recorded, and null for what was not", () =>
      Effect.gen(function* () {
        const audit = yield* AuditLog
        const { tenantId, userId } = yield* newUser
        const edgeId = yield* missingEdge
        const full = {
          action: "edge.removed",
          outcome: "success",
          actor: userId,
          edgeId,
          address: "2001:db8::1",
          requestId: "r1",
          detail: "née"
        } as const
        yield* audit.record({ tenantId, ...full })
        yield* audit.record({ tenantId, action: "sign_in.ended", outcome: "failure" })
        const [bare, first] = (yield* audit.list(tenantId, { limit: 5 })).items
        assert.deepInclude(first, { ...full, at: yield* DateTime.now })
        const nothing = { actor: null, edgeId: null, address: null, requestId: null, detail: null }
        assert.deepInclude(bare, { action: "sign_in.ended", outcome: "failure", ...nothing })
      })
    )

    it.effect("lists newest first, page by page, by action and by edge", () =>
      Effect.gen(function* () {
        const audit = yield* AuditLog
        const { tenantId } = yield* newUser
        const edgeId = yield* missingEdge
        for (const detail of ["1", "2", "3", "4"]) {
          const even = Number(detail) % 2 === 0
          yield* audit.record({
            tenantId,
            action: even ? "edge.updated" : "edge.removed",
            outcome: "success",
            detail,
            edgeId: detail === "3" ? edgeId : undefined
          })
        }
        const details = (query: object) =>
          Effect.map(audit.list(tenantId, { limit: 10, ...query }), ({ items }) =>
            items.map(({ detail }) => detail)
          )
        assert.deepStrictEqual(yield* details({}), ["4", "3", "2", "1"])
        assert.deepStrictEqual(yield* details({ action: "edge.updated" }), ["4", "2"])
        assert.deepStrictEqual(yield* details({ edgeId }), ["3"])
        assert.deepStrictEqual(yield* details({ edgeId, action: "edge.updated" }), [])
        const page = yield* audit.list(tenantId, { limit: 3 })
        assert.deepStrictEqual(yield* details({ cursor: page.nextCursor ?? "" }), ["1"])
        const error = yield* Effect.flip(audit.list(tenantId, { limit: 3, cursor: "no" }))
        assert.strictEqual(error._tag, "InvalidCursor")
      })
    )

    it.effect("shows no tenant what is another's or nobody's", () =>
      Effect.gen(function* () {
        const audit = yield* AuditLog
        const { tenantId } = yield* newUser
        yield* audit.record({ action: "pairing.exchanged", outcome: "failure" })
        yield* audit.record({
          tenantId: (yield* newUser).tenantId,
          action: "edge.removed",
          outcome: "success"
        })
        assert.deepStrictEqual(yield* audit.list(tenantId, { limit: 5 }), { items: [], nextCursor: null })
      })
    )

    it.effect("drops what is older than asked, and nothing else", () =>
      Effect.gen(function* () {
        const audit = yield* AuditLog
        const { tenantId } = yield* newUser
        yield* audit.record({ tenantId, action: "edge.removed", outcome: "success" })
        yield* TestClock.adjust("1 minute")
        yield* audit.record({ tenantId, action: "edge.updated", outcome: "success" })
        yield* audit.prune(yield* DateTime.now)
        const { items } = yield* audit.list(tenantId, { limit: 5 })
        assert.deepStrictEqual(
          items.map(({ action }) => action),
          ["edge.updated"]
        )
      })
    )
  })
