import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Edge, EdgeNotFound, Edges } from "@edge-relay/domain/edges/Edges"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { EdgeAccess } from "../../src/access/EdgeAccess.ts"
import * as Lookup from "../../src/access/Lookup.ts"

const tenantId = TenantId.make("tenant_01h00000000000000000000000")
const edgeId = EdgeId.make("edge_01h00000000000000000000000")

/** Edges of which there is one, or none, or no telling; counts how often it is asked. */
class Asked {
  times = 0
  answer: "there" | "gone" | "away" = "there"

  readonly layer = EdgeAccess.layer.pipe(
    Layer.provide(
      Layer.mock(Edges, {
        get: (_, id) =>
          Effect.suspend((): Effect.Effect<Edge, EdgeNotFound | StorageUnavailable> => {
            this.times++
            if (this.answer === "away")
              return Effect.fail(new StorageUnavailable({ operation: "get", cause: "away" }))
            if (this.answer === "gone") return Effect.fail(new EdgeNotFound({ edgeId: id }))
            return Effect.succeed(
              new Edge({ id, name: "edge", labels: [], createdAt: DateTime.makeUnsafe(0) })
            )
          })
      })
    )
  )
}

const check = (access: EdgeAccess["Service"]) => Lookup.toEffect(access.check({ tenantId }, edgeId))

describe("EdgeAccess", () => {
  it.effect("asks once in half a second, and many at once ask once", () => {
    const asked = new Asked()
    return Effect.gen(function* () {
      const access = yield* EdgeAccess
      const answers = yield* Effect.forEach([1, 2, 3], () => check(access), { concurrency: "unbounded" })
      assert.deepStrictEqual([answers, asked.times], [[true, true, true], 1])
      assert.strictEqual(access.check({ tenantId }, edgeId), true)
      yield* TestClock.adjust("501 millis")
      asked.answer = "gone"
      assert.isFalse(yield* check(access))
      assert.strictEqual(asked.times, 2)
    }).pipe(Effect.provide(asked.layer))
  })

  it.effect("keeps no no: an edge that was just paired is there at once", () => {
    const asked = new Asked()
    return Effect.gen(function* () {
      const access = yield* EdgeAccess
      asked.answer = "gone"
      assert.isFalse(yield* check(access))
      asked.answer = "there"
      assert.isTrue(yield* check(access))
    }).pipe(Effect.provide(asked.layer))
  })

  it.effect("asks nobody about what is no edge's id", () => {
    const asked = new Asked()
    return Effect.gen(function* () {
      const access = yield* EdgeAccess
      assert.strictEqual(access.check({ tenantId }, "..%2f"), false)
      assert.strictEqual(asked.times, 0)
    }).pipe(Effect.provide(asked.layer))
  })

  it.effect("says that it cannot tell, and asks again", () => {
    const asked = new Asked()
    return Effect.gen(function* () {
      const access = yield* EdgeAccess
      asked.answer = "away"
      assert.instanceOf(yield* Effect.flip(check(access)), StorageUnavailable)
      asked.answer = "there"
      assert.isTrue(yield* check(access))
    }).pipe(Effect.provide(asked.layer))
  })
})
