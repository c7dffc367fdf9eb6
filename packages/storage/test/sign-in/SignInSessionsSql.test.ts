import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, beforeAll, describe } from "@effect/vitest"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import { Context, Effect, Layer, Redacted } from "effect"
import type { SqlClient } from "effect/sql"
import { built, suite } from "@edge-relay/testkit/contract/SignInSessionsContract"
import { Database } from "../../src/database/Database.ts"
import { signInSessionTables } from "../../src/database/migrations/SignInSessionTables.ts"
import { migrations } from "../../src/database/Migrations.ts"
import * as SignInSessionsSql from "../../src/sign-in/SignInSessionsSql.ts"
import { isInstalled, PostgresServer } from "@edge-relay/testkit/PostgresServer"

/** A store in a database of its own; and the database, for another store in it. */
const layerIn = <E, R>(database: Layer.Layer<Database | SqlClient.SqlClient, E, R>) => {
  const tables = Layer.effectDiscard(
    Effect.gen(function* () {
      if (migrations.some(({ up }) => up === signInSessionTables)) return
      yield* (yield* Database).run("tables", signInSessionTables)
    })
  )
  return SignInSessionsSql.layer.pipe(Layer.provideMerge(tables), Layer.provideMerge(database))
}

const sqlite = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "edge-relay-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
    ),
    (folder) => Database.layer({ url: Redacted.make(`sqlite:${path.join(folder, "test.db")}`) })
  )
)

/** The contract's layer shows the store alone; what else it holds is for `another`. */
const another = Effect.gen(function* () {
  const context = yield* Effect.context<SignInSessions>()
  // as: both layers below leave their database in the context.
  const database = Context.get(context as Context.Context<SignInSessions | Database>, Database)
  return yield* built(SignInSessionsSql.layer.pipe(Layer.provide(Layer.succeed(Database, database))))
})

suite("SQLite", layerIn(sqlite), { another })

describe.skipIf(!isInstalled)("Postgres (needs initdb and postgres)", () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.create()
    await server.start()
  })
  afterAll(() => server.remove())

  let databases = 0
  const postgres = Layer.unwrap(
    Effect.gen(function* () {
      const name = `test_${++databases}`
      const admin = yield* Layer.build(Database.layer({ url: Redacted.make(server.url()) }))
      const { run, sql } = Context.get(admin, Database)
      yield* run("create", sql`CREATE DATABASE ${sql.literal(name)}`)
      return Database.layer({ url: Redacted.make(server.url(name)) })
    })
  )
  suite("Postgres", layerIn(postgres), { another, timeout: 60_000 })
})
