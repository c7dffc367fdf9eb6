import { assert, describe } from "@effect/vitest"
import { DateTime, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { Transaction } from "@edge-relay/domain/Transaction"
import { type It, missingEdge, newUser } from "./Fixtures.ts"

export const suite = (name: string, it: It) =>
  describe(`EdgeEvents in ${name}`, () => {
    it.effect("counts ids up by one, and gives a tenant its own events in their order", () =>
      Effect.gen(function* () {
        const events = yield* EdgeEvents
        const { tenantId } = yield* newUser
        const other = yield* newUser
        const edgeId = yield* missingEdge
        const before = yield* events.latest
        assert.strictEqual(yield* events.append(tenantId, { type: "edge.updated", edgeId }), before + 1)
        assert.strictEqual(yield* events.append(other.tenantId, { type: "edge.updated", edgeId }), before + 2)
        assert.strictEqual(yield* events.append(tenantId, { type: "edge.removed", edgeId }), before + 3)
        assert.strictEqual(yield* events.latest, before + 3)
        const told = yield* events.since(tenantId, before, 10)
        assert.isTrue(told.complete)
        assert.deepStrictEqual(
          told.events.map((event) => [event.id, event.tenantId, event.type]),
          [
            [before + 1, tenantId, "edge.updated"],
            [before + 3, tenantId, "edge.removed"]
          ]
        )
        assert.deepStrictEqual((yield* events.since(tenantId, before + 1, 10)).events, told.events.slice(1))
        assert.deepStrictEqual((yield* events.since(tenantId, before, 1)).events, told.events.slice(0, 1))
        const all = yield* events.allSince(before, 10)
        assert.deepStrictEqual(
          all.map(({ id }) => id - before),
          [1, 2, 3]
        )
        assert.deepStrictEqual((yield* events.allSince(before, 2)).length, 2)
      })
    )

    it.effect("lets a follower miss nothing while many append at once", () =>
      Effect.gen(function* () {
        const events = yield* EdgeEvents
        const transaction = yield* Transaction
        const { tenantId } = yield* newUser
        const edgeId = yield* missingEdge
        const total = 60
        let last = yield* events.latest
        const first = last + 1
        const writers = yield* Effect.forkChild(
          Effect.forEach(
            Array(total).keys(),
            () =>
              transaction.run(
                Effect.andThen(events.append(tenantId, { type: "edge.updated", edgeId }), Effect.yieldNow)
              ),
            { concurrency: 8 }
          )
        )
        const seen: Array<number> = []
        while (seen.length < total) {
          for (const { id } of yield* events.allSince(last, 7)) seen.push((last = id))
          yield* Effect.yieldNow
        }
        yield* Fiber.join(writers)
        assert.deepStrictEqual(
          seen,
          Array.from({ length: total }, (_, index) => first + index)
        )
      })
    )

    it.effect("says when it cannot resume: events were dropped, or the id was never given out", () =>
      Effect.gen(function* () {
        const events = yield* EdgeEvents
        const { tenantId } = yield* newUser
        const edgeId = yield* missingEdge
        const before = yield* events.latest
        yield* events.append(tenantId, { type: "edge.updated", edgeId })
        yield* TestClock.adjust("1 hour")
        const kept = yield* events.append(tenantId, { type: "edge.removed", edgeId })
        yield* events.prune(DateTime.subtract(yield* DateTime.now, { minutes: 30 }))
        const late = yield* events.since(tenantId, before, 10)
        assert.isFalse(late.complete)
        assert.deepStrictEqual(
          late.events.map(({ id }) => id),
          [kept]
        )
        assert.isTrue((yield* events.since(tenantId, kept - 1, 10)).complete)
        assert.isTrue((yield* events.since(tenantId, kept, 10)).complete)
        assert.isFalse((yield* events.since(tenantId, kept + 1, 10)).complete)
        yield* TestClock.adjust("1 hour")
        yield* events.prune(yield* DateTime.now)
        assert.deepStrictEqual(yield* events.since(tenantId, kept, 10), { events: [], complete: true })
        assert.isFalse((yield* events.since(tenantId, kept - 1, 10)).complete)
        assert.strictEqual(yield* events.append(tenantId, { type: "edge.updated", edgeId }), kept + 1)
      })
    )
  })
