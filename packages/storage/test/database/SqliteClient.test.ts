import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Reactivity } from "effect/reactivity"
import { TestClock } from "effect/testing"
import { StoragePriority } from "@edge-relay/domain/StoragePriority"
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

it.effect("gives up on a write that never ends, and is usable afterwards", () =>
  Effect.gen(function* () {
    const { sql, other } = yield* clientAndOther
    other.exec("BEGIN IMMEDIATE")
    const insert = yield* Effect.forkChild(Effect.flip(sql`INSERT INTO counted VALUES (2)`), {
      startImmediately: true
    })
    yield* TestClock.adjust("1 second")
    assert.isUndefined(insert.pollUnsafe())
    yield* TestClock.adjust("1200 millis")
    const error = yield* Fiber.join(insert)
    assert.strictEqual(error.reason._tag, "LockTimeoutError")
    assert.deepStrictEqual(yield* sql`SELECT n FROM counted`, [])
    other.exec("ROLLBACK")
    yield* sql`INSERT INTO counted VALUES (2)`
  })
)

it.effect("reads while another process has the file to itself, and while its own writers wait", () =>
  Effect.gen(function* () {
    const { sql, other } = yield* clientAndOther
    yield* sql`INSERT INTO counted VALUES (1)`
    other.exec("BEGIN EXCLUSIVE")
    const waiting = yield* Effect.forEach([2, 3, 4], (n) =>
      Effect.forkChild(Effect.flip(sql.withTransaction(sql`INSERT INTO counted VALUES (${n})`)), {
        startImmediately: true
      })
    )
    assert.deepStrictEqual(yield* sql`SELECT n FROM counted`.values, [[1]])
    assert.isTrue(waiting.every((fiber) => fiber.pollUnsafe() === undefined))
    // All of them waited at the same time: none takes its two seconds after another one's.
    yield* TestClock.adjust("2200 millis")
    assert.isTrue(waiting.every((fiber) => fiber.pollUnsafe() !== undefined))
  })
)

it.effect("lets a write that comes after a wait in vain wait for a moment only", () =>
  Effect.gen(function* () {
    const { sql, other } = yield* clientAndOther
    other.exec("BEGIN IMMEDIATE")
    const insert = Effect.flip(sql`INSERT INTO counted VALUES (2)`)
    yield* Effect.forkChild(insert, { startImmediately: true })
    yield* TestClock.adjust("2200 millis")
    const second = yield* Effect.forkChild(insert, { startImmediately: true })
    yield* TestClock.adjust("200 millis")
    assert.isDefined(second.pollUnsafe())
    other.exec("ROLLBACK")
    yield* sql`INSERT INTO counted VALUES (2)`
    // It went well: the next one is patient again.
    other.exec("BEGIN IMMEDIATE")
    const third = yield* Effect.forkChild(insert, { startImmediately: true })
    yield* TestClock.adjust("1 second")
    assert.isUndefined(third.pollUnsafe())
    other.exec("ROLLBACK")
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(third)
  })
)

it.effect("serves signed-in work before the rest, whoever came first", () =>
  Effect.gen(function* () {
    const { sql, other } = yield* clientAndOther
    other.exec("BEGIN IMMEDIATE")
    const order: Array<number> = []
    const insert = (n: number, priority: "normal" | "low") =>
      sql`INSERT INTO counted VALUES (${n})`.pipe(
        Effect.andThen(Effect.sync(() => order.push(n))),
        Effect.provideService(StoragePriority, priority),
        Effect.forkChild({ startImmediately: true })
      )
    const fibers = [
      yield* insert(1, "normal"),
      yield* insert(2, "low"),
      yield* insert(3, "low"),
      yield* insert(4, "normal"),
      yield* insert(5, "normal")
    ]
    other.exec("COMMIT")
    yield* TestClock.adjust("1 second")
    yield* Fiber.joinAll(fibers)
    assert.deepStrictEqual(order, [1, 4, 5, 2, 3])
  })
)

it.effect("refuses what is too much to wait at once, and what was interrupted waits no longer", () =>
  Effect.gen(function* () {
    const { sql, other } = yield* clientAndOther
    other.exec("BEGIN IMMEDIATE")
    const insert = Effect.exit(sql`INSERT INTO counted VALUES (1)`)
    const fibers = yield* Effect.forEach(Array(1001).keys(), () =>
      Effect.forkChild(insert, { startImmediately: true })
    )
    assert.isTrue(fibers.every((fiber) => fiber.pollUnsafe() === undefined))
    assert.include(
      String(yield* Effect.flip(sql`INSERT INTO counted VALUES (1)`)),
      "too many writes are waiting"
    )
    yield* Effect.forEach(fibers, Fiber.interrupt)
    other.exec("COMMIT")
    yield* sql`INSERT INTO counted VALUES (2)`
    assert.deepStrictEqual(yield* sql`SELECT n FROM counted`.values, [[2]])
  })
)

it.effect("passes the turn on when it comes to one that gives up at that very moment", () =>
  Effect.gen(function* () {
    const { sql } = yield* clientAndOther
    yield* Effect.gen(function* () {
      const held = yield* Effect.forkChild(sql.withTransaction(Effect.sleep("1999 millis")), {
        startImmediately: true
      })
      const waiting = yield* Effect.forEach(Array(20).keys(), (n) =>
        Effect.forkChild(Effect.ignore(sql`INSERT INTO counted VALUES (${n})`), { startImmediately: true })
      )
      yield* Effect.forEach(waiting, (fiber, n) =>
        n % 2 === 0 ? Effect.forkChild(Fiber.interrupt(fiber)) : Effect.void
      )
      yield* TestClock.adjust("1999 millis")
      yield* Fiber.join(held)
      yield* Effect.forEach(waiting, Fiber.await)
    }).pipe(Effect.repeat({ times: 5 }))
    yield* sql`INSERT INTO counted VALUES (99)`
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
