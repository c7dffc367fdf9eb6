import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Redacted } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { Transaction } from "@edge-relay/domain/Transaction"
import { crypto, newUser } from "@edge-relay/testkit/contract/Fixtures"
import { Database } from "../../src/database/Database.ts"
import * as Migrations from "../../src/database/Migrations.ts"
import * as SqlStorage from "../../src/SqlStorage.ts"
import { isInstalled, PostgresServer } from "@edge-relay/testkit/PostgresServer"

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "edge-relay-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
)

const storage = (url: string) =>
  SqlStorage.layer.pipe(
    Layer.provideMerge(Database.layer({ url: Redacted.make(url) })),
    Layer.provideMerge(crypto),
    Layer.fresh
  )

/** Everything that is logged, as text. */
const logged = () => {
  const lines: Array<string> = []
  return { lines, layer: Logger.layer([Logger.map(Logger.formatLogFmt, (line) => void lines.push(line))]) }
}

const createEdge = Effect.gen(function* () {
  const edges = yield* Edges
  const { tenantId } = yield* newUser
  return { tenantId, edge: yield* edges.create(tenantId, { name: "edge" }) }
})

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ _tag }) => _tag)

describe("Database on SQLite", () => {
  it.effect("makes folder and file for its own user alone", () =>
    Effect.gen(function* () {
      const file = path.join(yield* folder, "a", "b", "edge-relay.db")
      yield* createEdge.pipe(Effect.provide(storage(`sqlite:${file}`)))
      const modes = [path.dirname(file), file].map((name) => (fs.statSync(name).mode & 0o777).toString(8))
      assert.deepStrictEqual(modes, ["700", "600"])
    })
  )

  it.effect("is in WAL mode, with every commit on the disk, foreign keys on, while it is open", () =>
    Effect.gen(function* () {
      const file = path.join(yield* folder, "test.db")
      yield* Effect.gen(function* () {
        const { sql } = yield* Database
        const pragma = (name: string) =>
          Effect.map(sql`PRAGMA ${sql.literal(name)}`.values, (rows) => rows[0]?.[0])
        assert.strictEqual(yield* pragma("journal_mode"), "wal")
        assert.strictEqual(yield* pragma("synchronous"), 2)
        assert.strictEqual(yield* pragma("foreign_keys"), 1)
        assert.isAbove(Number(yield* pragma("busy_timeout")), 0)
        assert.strictEqual((fs.statSync(`${file}-wal`).mode & 0o777).toString(8), "600")
      }).pipe(Effect.provide(storage(`sqlite:${file}`)))
    })
  )

  it.effect("rolls back all of a transaction that fails, and the inner part alone of one that goes on", () =>
    Effect.gen(function* () {
      const transaction = yield* Transaction
      const edges = yield* Edges
      const { tenantId } = yield* newUser
      const failed = Effect.andThen(edges.create(tenantId, { name: "x" }), Effect.fail("no" as const))
      assert.strictEqual(yield* Effect.flip(transaction.run(failed)), "no")
      assert.strictEqual(yield* edges.count(tenantId), 0)
      yield* transaction.run(
        Effect.gen(function* () {
          yield* edges.create(tenantId, { name: "kept" })
          yield* Effect.ignore(transaction.run(failed))
        })
      )
      const { items } = yield* edges.list(tenantId, { limit: 5 })
      assert.deepStrictEqual(
        items.map(({ name }) => name),
        ["kept"]
      )
      const died = yield* Effect.exit(
        transaction.run(Effect.andThen(edges.create(tenantId, { name: "y" }), Effect.die("bug")))
      )
      assert.isTrue(Exit.hasDies(died))
      assert.strictEqual(yield* edges.count(tenantId), 1)
    }).pipe(Effect.provide(Layer.unwrap(Effect.map(folder, (folder) => storage(`sqlite:${folder}/test.db`)))))
  )

  it.effect("starts without its disk, says so, and works once it is there", () =>
    Effect.gen(function* () {
      const blocked = path.join(yield* folder, "disk")
      fs.writeFileSync(blocked, "not a folder")
      const log = logged()
      yield* Effect.gen(function* () {
        const database = yield* Database
        assert.strictEqual((yield* Effect.flip(database.ready)).reason, "does not answer")
        assert.strictEqual(yield* tagOf(createEdge), "StorageUnavailable")
        fs.rmSync(blocked)
        yield* database.ready
        yield* createEdge
      }).pipe(Effect.provide(storage(`sqlite:${blocked}/test.db`).pipe(Layer.provideMerge(log.layer))))
      const said = log.lines.filter((line) => line.includes("storage unavailable"))
      assert.strictEqual(said.length, 1)
      assert.match(said[0] ?? "", /storage unavailable in Migrations.run: E[A-Z]+: .*disk/)
    })
  )

  it.effect("opens the file anew when it was damaged and has been put right", () =>
    Effect.gen(function* () {
      const file = path.join(yield* folder, "test.db")
      fs.writeFileSync(file, "this is no database, ".repeat(500))
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* tagOf(createEdge), "StorageUnavailable")
        fs.rmSync(file)
        yield* createEdge
      }).pipe(Effect.provide(storage(`sqlite:${file}`)))
    })
  )

  it.effect("fails cleanly on a full disk, keeps what it acknowledged, and goes on when there is room", () =>
    Effect.gen(function* () {
      const log = logged()
      const file = path.join(yield* folder, "test.db")
      yield* Effect.gen(function* () {
        const { sql, ready } = yield* Database
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        const [pages] = (yield* sql`PRAGMA page_count`.values).flat()
        yield* sql`PRAGMA max_page_count = ${sql.literal(String(Number(pages) + 20))}`
        let acknowledged = 0
        const fill = edges
          .create(tenantId, { name: "x".repeat(100), labels: ["a", "b"] })
          .pipe(Effect.andThen(Effect.sync(() => acknowledged++)), Effect.forever)
        assert.strictEqual(yield* tagOf(fill), "StorageUnavailable")
        assert.isAbove(acknowledged, 10)
        for (let n = 0; n < 20; n++) assert.strictEqual(yield* tagOf(fill), "StorageUnavailable")
        assert.strictEqual(log.lines.filter((line) => line.includes("storage unavailable")).length, 1)
        assert.strictEqual((yield* Effect.flip(ready)).reason, "cannot be written")
        assert.include(yield* Effect.map(PrometheusMetrics.format(), String), "database_ready 0")
        assert.strictEqual(yield* edges.count(tenantId), acknowledged)
        yield* sql`PRAGMA max_page_count = 1000000`
        yield* edges.create(tenantId, { name: "room again" })
        assert.strictEqual(yield* edges.count(tenantId), acknowledged + 1)
        // A smaller write may have gone well in between: it is believed after a while.
        assert.strictEqual((yield* Effect.flip(ready)).reason, "cannot be written")
        yield* TestClock.adjust("10 seconds")
        yield* ready
        assert.include(yield* Effect.map(PrometheusMetrics.format(), String), "database_ready 1")
        const [check] = (yield* sql`PRAGMA integrity_check`.values).flat()
        assert.strictEqual(check, "ok")
      }).pipe(Effect.provide(storage(`sqlite:${file}`).pipe(Layer.provideMerge(log.layer))))
    })
  )

  it.effect("reads, and refuses to write, while it is read-only; logs it again only after a while", () =>
    Effect.gen(function* () {
      const log = logged()
      yield* Effect.gen(function* () {
        const { sql } = yield* Database
        const { tenantId, edge } = yield* createEdge
        yield* sql`PRAGMA query_only = ON`
        const edges = yield* Edges
        for (let n = 0; n < 5; n++) {
          assert.strictEqual(
            yield* tagOf(edges.update(tenantId, edge.id, { name: "new" })),
            "StorageUnavailable"
          )
        }
        assert.deepStrictEqual(yield* edges.get(tenantId, edge.id), edge)
        const lines = () => log.lines.filter((line) => line.includes("storage unavailable"))
        assert.strictEqual(lines().length, 1)
        yield* TestClock.adjust("10 seconds")
        yield* Effect.flip(edges.remove(tenantId, edge.id))
        assert.strictEqual(lines().length, 2)
        yield* sql`PRAGMA query_only = OFF`
        yield* edges.update(tenantId, edge.id, { name: "new" })
      }).pipe(
        Effect.provide(
          Layer.unwrap(Effect.map(folder, (folder) => storage(`sqlite:${folder}/test.db`))).pipe(
            Layer.provideMerge(log.layer)
          )
        )
      )
    })
  )

  it.effect("tells that it cannot write before anybody has to", () =>
    Effect.gen(function* () {
      const { ready, sql } = yield* Database
      yield* ready
      yield* sql`PRAGMA query_only = ON`
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Effect.flip(ready)).reason, "cannot be written")
      yield* sql`PRAGMA query_only = OFF`
      yield* TestClock.adjust("10 seconds")
      yield* ready
    }).pipe(Effect.provide(Layer.unwrap(Effect.map(folder, (folder) => storage(`sqlite:${folder}/test.db`)))))
  )

  it.effect(
    "serves nothing while its file has been moved away, makes no new one, and goes on when it is back",
    () =>
      Effect.gen(function* () {
        const file = path.join(yield* folder, "test.db")
        const away = `${file}.away`
        yield* Effect.gen(function* () {
          const { ready } = yield* Database
          const edges = yield* Edges
          const { tenantId, edge } = yield* createEdge
          fs.renameSync(file, away)
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* tagOf(createEdge), "StorageUnavailable")
          assert.strictEqual(yield* tagOf(edges.get(tenantId, edge.id)), "StorageUnavailable")
          assert.strictEqual((yield* Effect.flip(ready)).reason, "does not answer")
          assert.isFalse(fs.existsSync(file))
          // What was acknowledged went with it.
          const copy = new DatabaseSync(away, { readOnly: true })
          assert.deepStrictEqual({ ...copy.prepare("SELECT id FROM edges").get() }, { id: edge.id })
          copy.close()
          fs.renameSync(away, file)
          yield* ready
          assert.deepStrictEqual(yield* edges.get(tenantId, edge.id), edge)
          yield* createEdge
        }).pipe(Effect.provide(storage(`sqlite:${file}`)))
      })
  )

  it.effect("notices that another file has taken its place, and brings that one's schema up to date", () =>
    Effect.gen(function* () {
      const file = path.join(yield* folder, "test.db")
      const other = `${file}.other`
      yield* Effect.gen(function* () {
        const { ready } = yield* Database
        const edges = yield* Edges
        const { tenantId, edge } = yield* createEdge
        new DatabaseSync(other).close()
        fs.writeFileSync(other, "")
        fs.renameSync(file, `${file}.old`)
        fs.rmSync(`${file}-wal`)
        fs.rmSync(`${file}-shm`)
        fs.renameSync(other, file)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* tagOf(edges.get(tenantId, edge.id)), "StorageUnavailable")
        assert.strictEqual(yield* tagOf(edges.get(tenantId, edge.id)), "EdgeNotFound")
        yield* ready
        yield* createEdge
      }).pipe(Effect.provide(storage(`sqlite:${file}`)))
    })
  )

  it.effect("refuses to start on a database that is newer than the program", () =>
    Effect.gen(function* () {
      const url = `sqlite:${path.join(yield* folder, "test.db")}`
      const future = { id: 999, name: "from_the_future", up: Effect.void }
      yield* Migrations.runSteps([...Migrations.migrations, future]).pipe(Effect.provide(storage(url)))
      const error = yield* Effect.flip(Layer.build(storage(url)))
      assert.strictEqual(error._tag, "DatabaseTooNew")
      assert.include(error.message, "database schema 999 is newer than this program's")
    })
  )

  it.effect("applies all of its missing steps or none", () =>
    Effect.gen(function* () {
      const { sql } = yield* Database
      const steps = [
        ...Migrations.migrations,
        { id: 101, name: "good", up: SqlClient.SqlClient.use((sql) => sql`CREATE TABLE good (id TEXT)`) },
        { id: 102, name: "bad", up: SqlClient.SqlClient.use((sql) => sql`CREATE NONSENSE`) }
      ]
      assert.strictEqual(yield* tagOf(Migrations.runSteps(steps)), "SqlError")
      const tables = yield* sql`SELECT name FROM sqlite_master WHERE name = 'good'`
      assert.deepStrictEqual(tables, [])
      yield* Migrations.runSteps(steps.slice(0, -1))
      yield* Migrations.runSteps(steps.slice(0, -1))
      const [last] = yield* sql<{
        id: number
        name: string
      }>`SELECT id, name FROM schema_migrations ORDER BY id DESC`
      assert.deepInclude(last, { id: 101, name: "good" })
    }).pipe(Effect.provide(Layer.unwrap(Effect.map(folder, (folder) => storage(`sqlite:${folder}/test.db`)))))
  )

  it.effect("refuses a URL that names neither kind of database, without telling it", () =>
    Effect.gen(function* () {
      for (const url of ["", "sqlite:", "mysql://root:secret@db/x", "postgres:", "/tmp/secret.db"]) {
        const error = yield* Effect.flip(Layer.build(storage(url)))
        assert.strictEqual(error._tag, "InvalidDatabaseUrl")
        assert.notInclude(error.message, "secret")
      }
    })
  )
})

describe.skipIf(!isInstalled)("Database on Postgres (needs initdb and postgres)", () => {
  const server = Effect.acquireRelease(
    Effect.promise(() => PostgresServer.create()),
    (server) => Effect.promise(() => server.remove())
  )

  it.live("starts without the server, works once it is there, and outlives its crash", () =>
    Effect.gen(function* () {
      const postgres = yield* server
      const start = Effect.promise(() => postgres.start())
      yield* Effect.gen(function* () {
        const { ready } = yield* Database
        const edges = yield* Edges
        assert.strictEqual(yield* tagOf(ready), "DatabaseNotReady")
        assert.strictEqual(yield* tagOf(createEdge), "StorageUnavailable")
        yield* start
        yield* ready
        const { tenantId, edge } = yield* createEdge
        yield* Effect.promise(() => postgres.stop())
        for (let n = 0; n < 3; n++) assert.strictEqual(yield* tagOf(createEdge), "StorageUnavailable")
        yield* start
        // What was pooled broke with the server: the first to find out may still fail.
        yield* Effect.retry(ready, { times: 3 })
        assert.deepStrictEqual(yield* edges.get(tenantId, edge.id), edge)
      }).pipe(Effect.provide(storage(postgres.url())))
    })
  )

  it.live("fails what was in a transaction when the server crashes, without a defect", () =>
    Effect.gen(function* () {
      const postgres = yield* server
      yield* Effect.promise(() => postgres.start())
      yield* Effect.gen(function* () {
        const transaction = yield* Transaction
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        const crash = Effect.promise(() => postgres.stop())
        const broken = transaction.run(
          edges
            .create(tenantId, { name: "x" })
            .pipe(Effect.andThen(crash), Effect.andThen(edges.create(tenantId, { name: "y" })))
        )
        assert.strictEqual(yield* tagOf(broken), "StorageUnavailable")
        yield* Effect.promise(() => postgres.start())
        yield* Effect.retry((yield* Database).ready, { times: 3 })
        assert.strictEqual(yield* edges.count(tenantId), 0)
      }).pipe(Effect.provide(storage(postgres.url())))
    })
  )
})
