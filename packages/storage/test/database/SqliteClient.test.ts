import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Reactivity } from "effect/reactivity"
import { TestClock } from "effect/testing"
import * as SqliteClient from "../../src/database/SqliteClient.ts"

/** A client, and another connection to its file, as another process would have one. */
const clientAndOther = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "edge-relay-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  )
  const file = path.join(folder, "test.db")
  const sql = yield* SqliteClient.make({ path: file }).pipe(Effect.provide(Reactivity.layer))
  yield* sql`CREATE TABLE counted (n INTEGER)`
  const other = yield* Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(file)),
    (other) => Effect.sync(() => other.close())
  )
  return { sql, other }
})

it.effect("waits for another process's write, and lets this process go on meanwhile", () =>
  Effect.gen(function* () {
    const { sql, other } = yield* clientAndOther
    other.exec("BEGIN IMMEDIATE; INSERT INTO counted VALUES (1)")
    const insert = yield* Effect.forkChild(sql`INSERT INTO counted VALUES (2)`, { startImmediately: true })
    const transaction = yield* Effect.forkChild(sql.withTransaction(sql`INSERT INTO counted VALUES (3)`))
    yield* TestClock.adjust("1 second")
    assert.isUndefined(insert.pollUnsafe())
    other.exec("COMMIT")
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(insert)
    yield* Fiber.join(transaction)
    assert.deepStrictEqual(yield* sql`SELECT n FROM counted ORDER BY n`.values, [[1], [2], [3]])
  })
)

it.effect("gives up after five seconds on a write that never ends, and is usable afterwards", () =>
  Effect.gen(function* () {
    const { sql, other } = yield* clientAndOther
    other.exec("BEGIN IMMEDIATE")
    const insert = yield* Effect.forkChild(Effect.flip(sql`INSERT INTO counted VALUES (2)`), {
      startImmediately: true
    })
    yield* TestClock.adjust("6 seconds")
    const error = yield* Fiber.join(insert)
    assert.strictEqual(error.reason._tag, "LockTimeoutError")
    assert.deepStrictEqual(yield* sql`SELECT n FROM counted`, [])
    other.exec("ROLLBACK")
    yield* sql`INSERT INTO counted VALUES (2)`
  })
)

it.effect("lets go of the file and the lock when a transaction is interrupted", () =>
  Effect.gen(function* () {
    const { sql, other } = yield* clientAndOther
    const stuck = sql.withTransaction(Effect.andThen(sql`INSERT INTO counted VALUES (1)`, Effect.never))
    const fiber = yield* Effect.forkChild(stuck, { startImmediately: true })
    yield* Fiber.interrupt(fiber)
    other.exec("INSERT INTO counted VALUES (2)")
    assert.deepStrictEqual(yield* sql`SELECT n FROM counted`.values, [[2]])
  })
)

it.effect("runs a transaction alone: nothing of another fiber gets into it", () =>
  Effect.gen(function* () {
    const { sql } = yield* clientAndOther
    const failing = sql.withTransaction(
      sql`INSERT INTO counted VALUES (1)`.pipe(
        Effect.andThen(Effect.yieldNow),
        Effect.andThen(Effect.yieldNow),
        Effect.andThen(Effect.fail("no"))
      )
    )
    const others = Effect.forEach([2, 3, 4], (n) => sql`INSERT INTO counted VALUES (${n})`, {
      concurrency: "unbounded"
    })
    yield* Effect.all([Effect.ignore(failing), others, Effect.ignore(failing)], { concurrency: "unbounded" })
    assert.deepStrictEqual(yield* sql`SELECT n FROM counted ORDER BY n`.values, [[2], [3], [4]])
  })
)

it.effect("tells a broken constraint, and takes a parameter that cannot be bound for a bug", () =>
  Effect.gen(function* () {
    const { sql } = yield* clientAndOther
    yield* sql`CREATE UNIQUE INDEX once ON counted (n)`
    yield* sql`INSERT INTO counted VALUES (1)`
    const error = yield* Effect.flip(sql`INSERT INTO counted VALUES (1)`)
    assert.strictEqual(error.reason._tag, "UniqueViolation")
    const bug = yield* Effect.exit(sql`INSERT INTO counted VALUES (${{}})`)
    assert.isTrue(Exit.hasDies(bug))
  })
)
