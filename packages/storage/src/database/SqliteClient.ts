import { Clock, Effect, Schedule, type Scope, Semaphore, Stream } from "effect"
import type { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import type { SqliteDatabase } from "./SqliteDatabase.ts"
import { SqliteFile } from "./SqliteFile.ts"
import { WriterQueue } from "./WriterQueue.ts"

/**
 * An Effect `SqlClient` over `node:sqlite`. A process has two connections to the file: a SELECT outside a
 * transaction runs on the one that only reads, at once, whoever writes; all else takes its turn at the other one.
 * Writes of other processes are waited for without blocking this one's event loop, until the turn's deadline.
 */

/** Jittered, so that two processes that wait for each other's writes do not meet again and again. */
const busyDelay = Schedule.min([Schedule.exponential("1 millis"), Schedule.spaced("20 millis")]).pipe(
  Schedule.jittered
)

export const make = Effect.fnUntraced(function* (options: {
  readonly path: string
  /** The file has been opened anew, and may be another database: its schema is not known. */
  readonly onChange?: () => void
}): Effect.fn.Return<SqlClient.SqlClient, never, Scope.Scope | Reactivity.Reactivity> {
  const file = new SqliteFile(options.path, options.onChange ?? (() => {}))
  yield* Effect.addFinalizer(() => Effect.sync(() => file.close()))
  const queue = new WriterQueue()
  const connections = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    attempt("open", () => file.connections(now))
  )

  // The queue lends the turn; these see to it that no transaction is left open behind it.
  const writer = SqlClient.makeSqliteAcquirers<Connection>({
    connection: Effect.map(connections, ({ writer }) => new Connection(writer, queue)),
    semaphore: yield* Semaphore.make(1),
    isTransaction: ({ database }) => database.isTransaction
  })
  const release = Effect.sync(() => queue.release())
  const inTurn: SqlConnection.Borrower = (f) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.andThen(restore(queue.take), Effect.ensuring(restore(writer.borrower(f)), release))
    )
  const turn = Effect.uninterruptibleMask((restore) =>
    restore(queue.take).pipe(
      Effect.andThen(Effect.addFinalizer(() => release)),
      Effect.andThen(writer.transactionAcquirer)
    )
  )
  const reader = Effect.map(connections, ({ reader }) => new Connection(reader, undefined))
  // A database in memory is one connection's own.
  const aside: SqlConnection.Borrower =
    options.path === ":memory:" ? inTurn : (f) => Effect.flatMap(reader, f)
  const routed = new RoutedConnection(aside, inTurn)

  return yield* SqlClient.make({
    acquirer: Effect.succeed(routed),
    borrower: (f) => f(routed),
    transactionAcquirer: turn,
    onCommitFailure: writer.onCommitFailure,
    isTransaction: writer.isTransaction,
    compiler: Statement.makeCompilerSqlite(),
    driver: "sqlite-node",
    // Takes the write lock at once: a transaction that read first could not get it later without starting over.
    beginTransaction: "BEGIN IMMEDIATE",
    prepareTransactionControls: true,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    spanAttributes: [["db.system.name", "sqlite"]]
  })
})

type Transform = (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** What every connection here does alike: all rows come at once, since the statements are bounded by a LIMIT. */
abstract class EveryConnection implements SqlConnection.Connection {
  abstract executeRaw(
    sql: string,
    params: ReadonlyArray<unknown>
  ): Effect.Effect<ReadonlyArray<Record<string, unknown>>, SqlError.SqlError>
  abstract executeValues(
    sql: string,
    params: ReadonlyArray<unknown>
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError.SqlError>

  execute(sql: string, params: ReadonlyArray<unknown>, transformRows: Transform) {
    const rows = this.executeRaw(sql, params)
    return transformRows === undefined ? rows : Effect.map(rows, transformRows)
  }
  executeUnprepared(sql: string, params: ReadonlyArray<unknown>, transformRows: Transform) {
    return this.execute(sql, params, transformRows)
  }
  executeValuesUnprepared(sql: string, params: ReadonlyArray<unknown>) {
    return this.executeValues(sql, params)
  }
  executeStream(sql: string, params: ReadonlyArray<unknown>, transformRows: Transform) {
    return Stream.fromIterableEffect(this.execute(sql, params, transformRows))
  }
}

/** One of the two connections, for as long as it is lent. */
class Connection extends EveryConnection {
  readonly database: SqliteDatabase
  /** Of the one that writes. */
  readonly #queue: WriterQueue | undefined

  constructor(database: SqliteDatabase, queue: WriterQueue | undefined) {
    super()
    this.database = database
    this.#queue = queue
  }

  #run<A>(statement: () => A): Effect.Effect<A, SqlError.SqlError> {
    const queue = this.#queue
    const once = attempt("execute", statement)
    if (queue === undefined) return once
    const inTime = Effect.map(Clock.currentTimeMillis, (now) => now < queue.deadline)
    return once.pipe(
      Effect.catchIf(
        // Inside a transaction the lock is ours already: then busy is something else, and repeating is no use.
        (error) => isBusy(error) && !this.database.isTransaction,
        () =>
          once.pipe(
            Effect.retry({
              while: (error) => (isBusy(error) ? inTime : Effect.succeed(false)),
              schedule: busyDelay
            }),
            Effect.tapError((error) =>
              isBusy(error)
                ? Effect.map(Clock.currentTimeMillis, (now) => queue.foundLocked(now))
                : Effect.void
            )
          )
      ),
      Effect.tap(() => Effect.sync(() => queue.foundFree()))
    )
  }

  executeRaw(sql: string, params: ReadonlyArray<unknown>) {
    return this.#run(() => this.database.rows(sql, params))
  }
  executeValues(sql: string, params: ReadonlyArray<unknown>) {
    return this.#run(() => this.database.values(sql, params))
  }
}

/** Outside transactions, each statement takes the connection that it needs. */
class RoutedConnection extends EveryConnection {
  readonly #read: SqlConnection.Borrower
  readonly #write: SqlConnection.Borrower

  constructor(read: SqlConnection.Borrower, write: SqlConnection.Borrower) {
    super()
    this.#read = read
    this.#write = write
  }

  /** In SQLite no statement that begins so changes anything. What reads by other words may wait its turn. */
  #for(sql: string): SqlConnection.Borrower {
    return /^\s*SELECT\b/i.test(sql) ? this.#read : this.#write
  }

  executeRaw(sql: string, params: ReadonlyArray<unknown>) {
    return this.#for(sql)((connection) => connection.execute(sql, params, undefined))
  }
  executeValues(sql: string, params: ReadonlyArray<unknown>) {
    return this.#for(sql)((connection) => connection.executeValues(sql, params))
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
