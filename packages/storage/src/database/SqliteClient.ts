import { Duration, Effect, Schedule, type Scope, Semaphore, Stream } from "effect"
import type { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import { SqliteDatabase } from "./SqliteDatabase.ts"

/**
 * An Effect `SqlClient` over `node:sqlite`. One connection a process, lent to one fiber at a time; writes of other
 * processes are waited for without blocking this one's event loop. The file is opened by the first statement, and
 * opened anew by a later one where that failed, so that a client outlives a disk that was away.
 */

/**
 * How long to wait for another process's write transaction. Ours take milliseconds; what holds the lock longer
 * than this is stuck, and a 503 is better than a queue.
 */
const busyPatience = Duration.seconds(5)

/** Jittered, so that two processes that wait for each other's writes do not meet again and again. */
const busyDelay = Schedule.min([Schedule.exponential("1 millis"), Schedule.spaced("20 millis")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ duration: busyPatience })
)

export const make = Effect.fnUntraced(function* (options: {
  readonly path: string
}): Effect.fn.Return<SqlClient.SqlClient, never, Scope.Scope | Reactivity.Reactivity> {
  const semaphore = yield* Semaphore.make(1)
  let database: SqliteDatabase | undefined
  yield* Effect.addFinalizer(() => Effect.sync(() => database?.close()))

  const current = Effect.suspend(() => {
    if (database?.isBroken === true) {
      database.close()
      database = undefined
    }
    if (database !== undefined) return Effect.succeed(database)
    return Effect.map(
      attempt("open", () => new SqliteDatabase(options.path)),
      (opened) => (database = opened)
    )
  })

  const acquirers = SqlClient.makeSqliteAcquirers<Connection>({
    connection: Effect.map(current, (database) => new Connection(database)),
    semaphore,
    isTransaction: (connection) => connection.database.isTransaction
  })

  return yield* SqlClient.make({
    ...acquirers,
    compiler: Statement.makeCompilerSqlite(),
    driver: "sqlite-node",
    // Takes the write lock at once: a transaction that read first could not get it later without starting over.
    beginTransaction: "BEGIN IMMEDIATE",
    prepareTransactionControls: true,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    spanAttributes: [["db.system.name", "sqlite"]]
  })
})

class Connection implements SqlConnection.Connection {
  readonly database: SqliteDatabase

  constructor(database: SqliteDatabase) {
    this.database = database
  }

  private run<A>(statement: () => A): Effect.Effect<A, SqlError.SqlError> {
    const once = attempt("execute", statement)
    return Effect.catchIf(
      once,
      // Inside a transaction the lock is ours already: then busy is something else, and repeating does not help.
      (error) => isBusy(error) && !this.database.isTransaction,
      () => Effect.retry(once, { while: isBusy, schedule: busyDelay })
    )
  }

  execute(
    sql: string,
    params: ReadonlyArray<unknown>,
    transformRows: (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined
  ) {
    const rows = this.run(() => this.database.rows(sql, params))
    return transformRows === undefined ? rows : Effect.map(rows, transformRows)
  }
  executeRaw(sql: string, params: ReadonlyArray<unknown>) {
    return this.run(() => this.database.rows(sql, params))
  }
  executeUnprepared(
    sql: string,
    params: ReadonlyArray<unknown>,
    transformRows: (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined
  ) {
    return this.execute(sql, params, transformRows)
  }
  executeValues(sql: string, params: ReadonlyArray<unknown>) {
    return this.run(() => this.database.values(sql, params))
  }
  executeValuesUnprepared(sql: string, params: ReadonlyArray<unknown>) {
    return this.executeValues(sql, params)
  }
  /** All rows at once: the statements here are bounded by a LIMIT. */
  executeStream(
    sql: string,
    params: ReadonlyArray<unknown>,
    transformRows: (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined
  ) {
    return Stream.fromIterableEffect(this.execute(sql, params, transformRows))
  }
}

const attempt = <A>(operation: "open" | "execute", f: () => A): Effect.Effect<A, SqlError.SqlError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(f())
    } catch (cause) {
      const reason = classify(cause, operation)
      // Neither SQLite's nor the disk's: a bug of ours, such as a parameter that cannot be bound.
      if (reason === undefined) throw cause
      return Effect.fail(new SqlError.SqlError({ reason }))
    }
  })

const classify = (cause: unknown, operation: "open" | "execute"): SqlError.SqlErrorReason | undefined => {
  if (!(cause instanceof Error)) return undefined
  const { message } = cause
  if ("errcode" in cause) {
    // SQLite's extended result code; Effect's classifier looks for it in `errno`.
    return SqlError.classifySqliteError(Object.assign(cause, { errno: cause.errcode }), {
      message,
      operation
    })
  }
  // The folder or the file could not be made, as by ENOSPC; or the database is closed already.
  const away = operation === "open" || ("code" in cause && cause.code === "ERR_INVALID_STATE")
  return away ? new SqlError.ConnectionError({ cause, message, operation }) : undefined
}

const isBusy = (error: SqlError.SqlError): boolean => error.reason._tag === "LockTimeoutError"
