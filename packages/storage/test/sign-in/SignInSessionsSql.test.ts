import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { randomBytes } from "node:crypto"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { UserId } from "@edge-relay/domain/ids/UserId"
import { SessionIdHash } from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import { Context, Effect, Exit, Layer, Option, Redacted } from "effect"
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

const newHash = () => SessionIdHash.make(randomBytes(32).toString("base64url"))

describe("SignInSessions in SQL", () => {
  it.effect("keeps a bounded number of sign-ins under way, and drops the oldest", () =>
    Effect.gen(function* () {
      const sessions = yield* SignInSessions
      const { sql } = yield* Database
      const states: Array<string> = []
      for (let index = 0; index < 40; index++) {
        const state = randomBytes(8).toString("hex")
        states.push(state)
        const pending = { state, nonce: "n", codeVerifier: "v", returnTo: "/", startedAt: index }
        yield* sessions.addPending(newHash(), pending, { fresh: true })
      }
      const rows = yield* sql<{ state: string }>`SELECT state FROM sign_in_pending ORDER BY started_at`
      assert.isAtMost(rows.length, 20)
      assert.deepStrictEqual(
        rows.map(({ state }) => state),
        states.slice(-rows.length)
      )
    }).pipe(
      Effect.provide(
        SignInSessionsSql.layerWith({ mostPending: 10 }).pipe(Layer.provideMerge(sqlite), Layer.orDie)
      )
    )
  )

  it.effect("lets a provider's logout be sent again that failed before sessions had ended", () =>
    Effect.gen(function* () {
      const sessions = yield* SignInSessions
      const { sql } = yield* Database
      const pending = { state: "s", nonce: "n", codeVerifier: "v", returnTo: "/", startedAt: 0 }
      const browser = newHash()
      yield* sessions.addPending(browser, pending, { fresh: true })
      const taken = Option.getOrThrow(yield* sessions.takePending(browser, "s"))
      const issuer = "https://issuer.example"
      yield* sessions.signIn(taken, {
        id: SignInSessionId.make(`sess_${"0".repeat(26)}`),
        idHash: newHash(),
        userId: UserId.make(`user_${"0".repeat(26)}`),
        tenantId: TenantId.make(`tenant_${"0".repeat(26)}`),
        issuer,
        subject: "alice",
        sid: null,
        name: null,
        email: null,
        picture: null,
        role: "admin",
        address: "192.0.2.7",
        userAgent: "",
        createdAt: 0,
        idleMillis: 1e9,
        expiresAt: 1e9,
        sealed: "",
        refreshAt: null
      })
      yield* sql`CREATE TRIGGER no_end BEFORE DELETE ON sign_in_sessions BEGIN SELECT RAISE(ABORT, 'no'); END`
      const logout = { issuer, subject: "alice", sid: null, jti: "1", issuedAt: 0, expiresAt: 1e9 }
      assert.isTrue(Exit.isFailure(yield* Effect.exit(sessions.endByProvider(logout))))
      yield* sql`DROP TRIGGER no_end`
      const again = Option.getOrThrow(yield* sessions.endByProvider(logout))
      assert.strictEqual(again.length, 1)
      assert.isTrue(Option.isNone(yield* sessions.endByProvider(logout)))
    }).pipe(Effect.provide(SignInSessionsSql.layer.pipe(Layer.provideMerge(sqlite), Layer.orDie)))
  )
})

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
