import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { AuditLog } from "../src/AuditLog.ts"
import { EdgeEvents } from "../src/EdgeEvents.ts"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as Retention from "../src/Retention.ts"
import { SessionTokens } from "../src/SessionTokens.ts"
import { crypto, newUser, pairedEdge } from "./contract/Fixtures.ts"

const storage = MemoryStorage.layer.pipe(Layer.provideMerge(crypto))

it.effect("revokes a replaced token within a minute after its 24 hours, and says so", () =>
  Effect.gen(function* () {
    const tokens = yield* SessionTokens
    const events = yield* EdgeEvents
    const { tenantId, userId } = yield* newUser
    const { edgeId, token } = yield* pairedEdge(tenantId, userId)
    const { tokenId } = yield* tokens.authenticate(token)
    yield* tokens.rotate(tenantId, edgeId)
    yield* TestClock.adjust("24 hours")
    const before = yield* events.latest
    yield* TestClock.adjust("1 minute")
    const told = yield* events.allSince(before - 1, 10)
    assert.isTrue(told.some((event) => event.type === "token.revoked" && event.tokenId === tokenId))
  }).pipe(Effect.provide(Retention.layer().pipe(Layer.provideMerge(storage))))
)

it.effect("drops audit entries after the days it was told, and goes on after a round that failed", () => {
  let failures = 0
  const flaky = Layer.effect(
    AuditLog,
    Effect.map(AuditLog, (audit) => ({
      ...audit,
      prune: (before) => (failures++ === 0 ? Effect.die("away") : audit.prune(before))
    }))
  )
  return Effect.gen(function* () {
    const audit = yield* AuditLog
    const { tenantId } = yield* newUser
    yield* audit.record({ tenantId, action: "old", outcome: "success" })
    yield* TestClock.adjust("2 days")
    yield* audit.record({ tenantId, action: "young", outcome: "success" })
    yield* TestClock.adjust("1 day")
    const { items } = yield* audit.list(tenantId, { limit: 5 })
    assert.deepStrictEqual(
      items.map(({ action }) => action),
      ["young"]
    )
    assert.isAtLeast(failures, 2)
  }).pipe(
    Effect.provide(
      Retention.layer({ auditDays: 2 }).pipe(Layer.provideMerge(flaky), Layer.provideMerge(storage))
    )
  )
})
