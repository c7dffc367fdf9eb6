import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Statement } from "effect/sql"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { crypto, newUser } from "@edge-relay/testkit/contract/Fixtures"
import * as StorageContract from "@edge-relay/testkit/contract/StorageContract"
import { Database } from "../src/database/Database.ts"
import * as SqlStorage from "../src/SqlStorage.ts"
import { isInstalled, PostgresServer } from "@edge-relay/testkit/PostgresServer"

const server = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = await PostgresServer.create()
    await server.start()
    return server
  }),
  (server) => Effect.promise(() => server.remove())
)

const database = Layer.unwrap(
  Effect.map(server, (server) => Database.layer({ url: Redacted.make(server.url()) }))
)

describe.skipIf(!isInstalled)("Postgres (needs initdb and postgres)", () => {
  const storage = SqlStorage.layer.pipe(Layer.provideMerge(database), Layer.provideMerge(crypto))

  layer(storage, { timeout: "60 seconds" })((it) => StorageContract.suite("Postgres", it))

  // A Postgres of its own: its rows would be in the way of other tests.
  layer(Layer.fresh(storage), { timeout: "60 seconds" })((it) => {
    it.effect("walks a tenant's edges by an index, in their order, among 30,000", () =>
      Effect.gen(function* () {
        const { sql } = yield* Database
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        yield* sql`INSERT INTO edges (id, tenant_id, name, search_key, labels, token_generation, created_at)
          SELECT 'edge_' || lpad(to_hex(n), 26, '0'), CASE n % 100 WHEN 0 THEN ${tenantId} ELSE 'tenant_' || n % 100 END,
            'seeded', 'seeded', '[]', 0, n FROM generate_series(1, 30000) AS n`
        yield* sql`INSERT INTO edge_labels SELECT tenant_id, 'gpu', id FROM edges WHERE name = 'seeded'`
        yield* sql`ANALYZE`
        const middle = `edge_${(15_000).toString(16).padStart(26, "0")}`
        const plan = Effect.fnUntraced(function* (query: object) {
          const sent: Array<Statement.Statement<unknown>> = []
          yield* edges.list(tenantId, { limit: 50, cursor: middle, ...query }).pipe(
            Effect.provideService(Statement.CurrentTransformer, (statement) => {
              sent.push(statement)
              return Effect.succeed(statement)
            })
          )
          const [text = "", params = []] = sent[0]?.compile() ?? []
          const rows = yield* sql.unsafe(`EXPLAIN ${text}`, params).values
          return rows.flat().join("\n")
        })
        const page = yield* plan({})
        assert.match(page, /Index (Only )?Scan using edges_of_tenant/)
        assert.notMatch(page, /Seq Scan|Sort/)
        assert.notMatch(yield* plan({ label: "gpu" }), /Seq Scan/)
      })
    )
  })
})
