import {
  Cause,
  Clock,
  Context,
  Effect,
  Fiber,
  Layer,
  Metric,
  Redacted,
  Schedule,
  Schema,
  type Scope
} from "effect"
import { PgClient } from "@effect/sql-pg"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Reactivity } from "effect/reactivity"
import { SqlClient, SqlError } from "effect/sql"
import * as Migrations from "./Migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"

/**
 * The database of both servers: SQLite or Postgres, by its URL. It is connected to when it is first needed. One
 * that cannot be reached fails what is asked of it with `StorageUnavailable`, at start as well as later, and is
 * tried again by the next that asks; only a database that is newer than this program keeps it from starting.
 */

/** A `DATABASE_URL` that is neither of ours. The URL may hold a password and is not told. */
export class InvalidDatabaseUrl extends Schema.TaggedError<InvalidDatabaseUrl>()("InvalidDatabaseUrl", {}) {
  override get message(): string {
    return "database URL is neither sqlite:PATH nor postgres://…"
  }
}

/** The database cannot serve now: what of it does not work. */
export class DatabaseNotReady extends Schema.TaggedError<DatabaseNotReady>()("DatabaseNotReady", {
  reason: Schema.Literals(["does not answer", "cannot be written"])
}) {
  override get message(): string {
    return `the database ${this.reason}`
  }
}

export class Database extends Context.Service<
  Database,
  {
    readonly sql: SqlClient.SqlClient
    /** Runs statements once the schema is up to date. A driver's failure becomes `StorageUnavailable`. */
    readonly run: <A, E, R>(
      operation: string,
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, Exclude<E, SqlError.SqlError> | StorageUnavailable, R>
    /** As `run`, in a transaction; inside another one, a part of it that can fail by itself. */
    readonly transaction: <A, E, R>(
      operation: string,
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, Exclude<E, SqlError.SqlError> | StorageUnavailable, R>
    /** Whether other machines use the same one: it is then not this server alone that lacks it. */
    readonly isShared: boolean
    /** Succeeds while the database answers, can be written, and has the schema of this program. */
    readonly ready: Effect.Effect<void, DatabaseNotReady>
  }
>()("@edge-relay/storage/database/Database") {
  static readonly layer = (options: {
    /** `sqlite:PATH`, `postgres://…` or `postgresql://…` */
    readonly url: Redacted.Redacted<string>
  }): Layer.Layer<Database | SqlClient.SqlClient, InvalidDatabaseUrl | Migrations.DatabaseTooNew> =>
    Layer.effectContext(
      Effect.gen(function* () {
        const schema = new SchemaState()
        const connecting = yield* connect(options.url, () => (schema.isKnown = false))
        const sql = yield* connecting
        const database = yield* make(schema, !isSqlite(Redacted.value(options.url))).pipe(
          Effect.provideService(SqlClient.SqlClient, sql)
        )
        return Context.make(Database, database).pipe(Context.add(SqlClient.SqlClient, sql))
      })
    ).pipe(Layer.provide(Reactivity.layer))
}

/** Whether the schema of what is connected is known to be this program's. */
class SchemaState {
  isKnown = false
}

/** Connections of one server to Postgres: its statements are short, and two servers share its 100. */
const maxConnections = 10

/** What a Postgres URL does not say by itself, under libpq's names; the time-out is in seconds. */
const postgresDefaults = { application_name: "edge-relay", connect_timeout: "3" }

const isSqlite = (url: string) => url.startsWith("sqlite:") && url.length > "sqlite:".length

const connect = (
  url: Redacted.Redacted<string>,
  onChange: () => void
): Effect.Effect<
  Effect.Effect<SqlClient.SqlClient, never, Scope.Scope | Reactivity.Reactivity>,
  InvalidDatabaseUrl
> => {
  const text = Redacted.value(url)
  if (isSqlite(text)) {
    return Effect.succeed(SqliteClient.make({ path: text.slice("sqlite:".length), onChange }))
  }
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) return Effect.fail(new InvalidDatabaseUrl())
  const whole = new URL(text)
  for (const [name, value] of Object.entries(postgresDefaults)) {
    if (!whole.searchParams.has(name)) whole.searchParams.set(name, value)
  }
  const client = PgClient.make({
    url: Redacted.make(whole.href),
    maxConnections,
    // What takes longer is stuck: a 503 is better than a queue. A lock is waited for as long as SQLite's.
    startupParameters: { statement_timeout: "15s", lock_timeout: "2s" }
  })
  // The pool connects when it is first used; what fails at once is a URL that it does not understand.
  return Effect.succeed(Effect.orDie(client))
}

/** A database that is away is logged at most this often. */
const logEveryMillis = 10_000

/** A failure makes the database not ready for this long: a small write may go where the next large one does not. */
const failedMillis = 10_000
/** A write that went well says for this long that the next one will. */
const writtenMillis = 5000
/** How often the gauge is looked after while nobody asks whether the database is ready. */
const checkEvery = "15 seconds"

const make = Effect.fnUntraced(function* (schema: SchemaState, isShared: boolean) {
  const sql = yield* SqlClient.SqlClient
  const scope = yield* Effect.scope
  let migrating: Fiber.Fiber<void, SqlError.SqlError | Migrations.DatabaseTooNew> | undefined
  let loggedAt = Number.NEGATIVE_INFINITY
  let failedAt = Number.NEGATIVE_INFINITY
  let writtenAt = Number.NEGATIVE_INFINITY

  const attempt = Migrations.run.pipe(
    Effect.provideService(SqlClient.SqlClient, sql),
    Effect.andThen(Effect.sync(() => (schema.isKnown = true))),
    Effect.ensuring(Effect.sync(() => (migrating = undefined))),
    Effect.asVoid
  )
  /** One attempt at a time, whose outcome is that of all who asked meanwhile, and which outlives each of them. */
  const migrate = Effect.suspend(() =>
    migrating === undefined
      ? Effect.flatMap(Effect.forkIn(attempt, scope), (fiber) => Fiber.join((migrating = fiber)))
      : Fiber.join(migrating)
  )

  const unavailable = Effect.fnUntraced(function* (operation: string, cause: DriverFailure) {
    const error = new StorageUnavailable({ operation, cause })
    const now = yield* Clock.currentTimeMillis
    yield* Metric.update(failures(kindOf(cause)), 1)
    // Whether a lock or an outage is over, the next check tells; of a disk, it tells half.
    if (kindOf(cause) === "failed") failedAt = now
    if (now - loggedAt >= logEveryMillis) {
      loggedAt = now
      yield* Effect.logError(`${error.message}: ${why(cause)}`)
    }
    return yield* error
  })

  const run: Database["Service"]["run"] = (operation, effect) =>
    Effect.catchCause(
      Effect.suspend(() => (schema.isKnown ? effect : Effect.andThen(migrate, effect))),
      (cause) => {
        const failure = driverFailure(cause)
        if (failure === undefined) {
          // None of its failures is the driver's.
          return Effect.failCause(cause as Cause.Cause<never>)
        }
        return isBug(failure) ? Effect.die(failure) : unavailable(operation, failure)
      }
    )

  const written = Effect.map(Clock.currentTimeMillis, (now) => {
    writtenAt = now
  })

  const transaction: Database["Service"]["transaction"] = (operation, effect) =>
    run(operation, Effect.tap(sql.withTransaction(effect), written))

  const answers = run("Database.ready", sql`SELECT 1`).pipe(
    Effect.mapError(() => new DatabaseNotReady({ reason: "does not answer" }))
  )
  /** Changes nothing, but goes to the disk as any change does. */
  const writes = transaction(
    "Database.ready",
    sql`UPDATE schema_migrations SET applied_at = applied_at WHERE id = 1`
  ).pipe(Effect.mapError(() => new DatabaseNotReady({ reason: "cannot be written" })))

  const check = Effect.gen(function* () {
    yield* answers
    const now = yield* Clock.currentTimeMillis
    const failed = now - failedAt < failedMillis
    if (failed || now - writtenAt >= writtenMillis) yield* writes
    if (failed) return yield* new DatabaseNotReady({ reason: "cannot be written" })
  })
  const ready = check.pipe(
    Effect.tap(Metric.update(isReady, 1)),
    Effect.tapError(() => Metric.update(isReady, 0))
  )

  yield* migrate.pipe(
    Effect.catchTag("SqlError", (error) => Effect.ignore(unavailable("Migrations.run", error)))
  )
  yield* Effect.forkScoped(Effect.repeat(Effect.ignore(ready), Schedule.spaced(checkEvery)))

  return Database.of({ sql, run, transaction, isShared, ready })
})

const isReady = Metric.gauge("database_ready", {
  description: "1: the database answers and can be written, as this server last found"
})
const failuresTotal = Metric.counter("database_failures_total", {
  description:
    "Operations that the database failed, by kind: locked, away (no connection), failed (disk, ...)",
  incremental: true
})
const failures = (kind: ReturnType<typeof kindOf>) => Metric.withAttributes(failuresTotal, { kind })

type DriverFailure = SqlError.SqlError | Migrations.DatabaseTooNew

/** The driver's failure in a cause: it also dies of one, where not even a rollback reaches the database. */
const driverFailure = (cause: Cause.Cause<unknown>): DriverFailure | undefined => {
  if (Cause.hasInterrupts(cause)) return undefined
  for (const reason of cause.reasons) {
    const error = Cause.isFailReason(reason)
      ? reason.error
      : Cause.isDieReason(reason)
        ? reason.defect
        : undefined
    if (SqlError.isSqlError(error) || error instanceof Migrations.DatabaseTooNew) return error
  }
  return undefined
}

/** Our statement was wrong, or broke a rule of the schema: trying again later would not help. */
const isBug = (error: DriverFailure): boolean =>
  error._tag === "SqlError" &&
  ["SqlSyntaxError", "UniqueViolation", "ConstraintError"].includes(error.reason._tag)

const kindOf = (error: DriverFailure): "locked" | "away" | "failed" => {
  if (error._tag !== "SqlError") return "failed"
  switch (error.reason._tag) {
    case "LockTimeoutError":
      return "locked"
    case "ConnectionError":
      return "away"
    default:
      return "failed"
  }
}

/** In a line: what the driver says, and the system behind it, such as ECONNREFUSED. */
const why = (error: DriverFailure): string => {
  const cause = error._tag === "SqlError" ? error.reason.cause : undefined
  return cause instanceof Error && cause.message !== error.message && cause.message !== ""
    ? `${error.message}: ${cause.message}`
    : error.message
}
