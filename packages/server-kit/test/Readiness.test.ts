import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Readiness } from "@edge-relay/server-kit/Readiness"

const away = { reason: "does not answer" }

/** A dependency that can be taken away. */
class Dependency {
  isThere: boolean
  constructor(isThere: boolean) {
    this.isThere = isThere
  }
  readonly ready = Effect.suspend(() => (this.isThere ? Effect.void : Effect.fail(away)))
}

describe("Readiness", () => {
  it.effect("misses what is this server's own whenever it is away", () =>
    Effect.gen(function* () {
      const readiness = yield* Readiness
      const file = new Dependency(true)
      yield* readiness.require("file", file.ready)
      assert.deepStrictEqual(yield* readiness.lacks, { missing: [], degraded: [] })
      file.isThere = false
      assert.deepStrictEqual(yield* readiness.lacks, { missing: [{ name: "file", ...away }], degraded: [] })
    }).pipe(Effect.provide(Readiness.layer))
  )

  it.effect("misses what is shared until it was found once, and is degraded without it from then on", () =>
    Effect.gen(function* () {
      const readiness = yield* Readiness
      const directory = new Dependency(false)
      yield* readiness.share("directory", directory.ready)
      const lack = [{ name: "directory", ...away }]
      assert.deepStrictEqual(yield* readiness.lacks, { missing: lack, degraded: [] })
      directory.isThere = true
      assert.deepStrictEqual(yield* readiness.lacks, { missing: [], degraded: [] })
      directory.isThere = false
      assert.deepStrictEqual(yield* readiness.lacks, { missing: [], degraded: lack })
    }).pipe(Effect.provide(Readiness.layer))
  )

  it.effect("is missing itself while it drains", () =>
    Effect.gen(function* () {
      const readiness = yield* Readiness
      yield* readiness.drain
      assert.deepStrictEqual(yield* readiness.lacks, {
        missing: [{ name: "server", reason: "is shutting down" }],
        degraded: []
      })
    }).pipe(Effect.provide(Readiness.layer))
  )
})
