import { assert, it } from "@effect/vitest"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"
import { layerUrl, temporaryFolder } from "@edge-relay/testkit/SqlRepositories"
import { Effect, Fiber, Layer } from "effect"
import { DatabaseSync } from "node:sqlite"

/** The API on a SQLite file, and another connection to it, as another process would have one. */
const apiAndOther = Effect.gen(function* () {
  const file = `${yield* temporaryFolder}/relay.db`
  const context = yield* Layer.build(TestApi.layerOn(layerUrl(`sqlite:${file}`)))
  const other = yield* Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(file)),
    (other) => Effect.sync(() => other.close())
  )
  return { context, other }
})

it.live(
  "while another process has the database to itself, reading goes on, and no write waits for another one",
  () =>
    Effect.gen(function* () {
      const { context, other } = yield* apiAndOther
      yield* Effect.gen(function* () {
        const { edges, signIn, url } = yield* TestApi
        const { cookie, tenantId } = yield* signIn("alice")
        yield* edges.create(tenantId, { name: "an edge" })
        const code = yield* ask(`${url}/api/pairing/codes`, { method: "POST", cookie, body: {} })
        const { code: text } = JSON.parse(code.body)
        other.exec("BEGIN EXCLUSIVE")
        const exchange = ask(`${url}/api/pairing/exchange`, { method: "POST", body: { code: text } })
        const exchanges = yield* Effect.forEach(Array(8).keys(), () =>
          Effect.forkChild(exchange, { startImmediately: true })
        )
        const renamed = yield* Effect.forkChild(
          ask(`${url}/api/pairing/codes`, { method: "POST", cookie, body: {} }),
          { startImmediately: true }
        )
        // Answered while they wait: none of them has an answer before the lock's patience is over.
        const list = yield* ask(`${url}/api/edges`, { cookie })
        assert.strictEqual(list.status, 200)
        assert.include(list.body, "an edge")
        // Half of what they would take one after another, or one of them to give up and undo what it never did.
        const answers = yield* Fiber.joinAll([...exchanges, renamed]).pipe(Effect.timeout("8 seconds"))
        for (const answer of answers) {
          assert.strictEqual(answer.status, 503)
          assert.propertyVal(answer.json, "code", "storage_unavailable")
          assert.match(answer.headers["retry-after"] ?? "", /^\d+$/)
        }
        other.exec("ROLLBACK")
        assert.strictEqual((yield* exchange).status, 201)
      }).pipe(Effect.provide(context))
    })
)
