import { Clock, Effect, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { accessTokenTables } from "./migrations/AccessTokenTables.ts"
import { auditActionNames } from "./migrations/AuditActionNames.ts"
import { coreTables } from "./migrations/CoreTables.ts"
import { signInLogouts } from "./migrations/SignInLogouts.ts"
import { terminalSignInTables } from "./migrations/TerminalSignInTables.ts"
import { roleColumns } from "./migrations/RoleColumns.ts"
import { signInSessionTables } from "./migrations/SignInSessionTables.ts"

/**
 * Brings the schema up to date, whichever server comes first: all missing steps in one transaction, under a lock
 * that the other server waits for. A database with steps that this program does not know is left alone.
 */

export class DatabaseTooNew extends Schema.TaggedError<DatabaseTooNew>()("DatabaseTooNew", {
  found: Schema.Int,
  known: Schema.Int
}) {
  override get message(): string {
    return `database schema ${this.found} is newer than this program's ${this.known}: start a newer program`
  }
}

export interface Migration {
  /** Counts up by one from 1. A step that was released is never changed. */
  readonly id: number
  readonly name: string
  readonly up: Effect.Effect<unknown, SqlError.SqlError, SqlClient.SqlClient>
}

export const migrations: ReadonlyArray<Migration> = [
  { id: 1, name: "core_tables", up: coreTables },
  { id: 2, name: "sign_in_session_tables", up: signInSessionTables },
  { id: 3, name: "audit_action_names", up: auditActionNames },
  { id: 4, name: "access_token_tables", up: accessTokenTables },
  { id: 5, name: "sign_in_logouts", up: signInLogouts },
  { id: 6, name: "terminal_sign_in_tables", up: terminalSignInTables },
  { id: 7, name: "role_columns", up: roleColumns }
]

/** Of all that lock something in this database; any number of our own. */
const advisoryLock = 3_721_380_001

/** Brings the schema up to date with `steps`, in their order. */
export const runSteps = Effect.fn("Migrations.run")(function* (
  steps: ReadonlyArray<Migration>
): Effect.fn.Return<void, SqlError.SqlError | DatabaseTooNew, SqlClient.SqlClient> {
  const sql = yield* SqlClient.SqlClient
  const known = steps.at(-1)?.id ?? 0

  const latest = Effect.gen(function* () {
    const [row] = yield* sql<{ found: number | null }>`SELECT max(id) AS found FROM schema_migrations`
    const found = row?.found ?? 0
    if (found > known) return yield* new DatabaseTooNew({ found, known })
    return found
  })

  // Reading asks for no lock, so that a disk that has become read-only can still be read. No table yet: 0.
  const before = yield* Effect.catchTag(latest, "SqlError", () => Effect.succeed(0))
  if (before === known) return

  yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* sql.onDialectOrElse({
        pg: () => sql`SELECT pg_advisory_xact_lock(${advisoryLock}::bigint)`,
        // SQLite's transactions here begin with the write lock.
        orElse: () => Effect.void
      })
      yield* sql`CREATE TABLE IF NOT EXISTS schema_migrations (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        applied_at BIGINT NOT NULL
      )`
      const found = yield* latest
      for (const { id, name, up } of steps) {
        if (id <= found) continue
        yield* up
        const now = yield* Clock.currentTimeMillis
        yield* sql`INSERT INTO schema_migrations (id, name, applied_at) VALUES (${id}, ${name}, ${now})`
        yield* Effect.logInfo(`schema ${id} ${name} applied`)
      }
    })
  )
})

export const run = runSteps(migrations)
