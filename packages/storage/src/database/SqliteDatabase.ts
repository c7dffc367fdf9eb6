import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"

/**
 * One open SQLite file, as both servers use it at once: write-ahead log, so that readers never wait for a writer;
 * every commit on the disk before it is answered; foreign keys on. Statements are prepared once. Throws as
 * `node:sqlite` does.
 */

/** More than all statements of the repositories; of those in many forms, the least used falls out. */
const maxStatements = 256

/**
 * Milliseconds that SQLite itself may wait for a lock, during which nothing else runs in this process: longer while
 * the file is opened, which happens once and may meet another process that recovers it; then only for the locks of
 * a moment, since the client waits for longer ones without blocking.
 */
const openBusyTimeout = 1000
const busyTimeout = 2

/** SQLite's primary result codes after which a connection is not to be trusted (https://sqlite.org/rescode.html). */
const fatalCodes = new Set([10 /* IOERR */, 11 /* CORRUPT */, 26 /* NOTADB */])

// FULL: an acknowledged write survives a power cut too, not only a crash of ours.
const writing = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA journal_size_limit = 67108864;
`
const common = `
  PRAGMA foreign_keys = ON;
  PRAGMA trusted_schema = OFF;
  PRAGMA cache_size = -16384;
  PRAGMA busy_timeout = ${busyTimeout};
`

export class SqliteDatabase {
  private readonly database: DatabaseSync
  private readonly statements = new Map<string, StatementSync>()
  private fatal = false

  /** A connection that only reads needs the file to be there, in WAL mode. */
  constructor(file: string, { readOnly = false }: { readonly readOnly?: boolean } = {}) {
    const options = { timeout: openBusyTimeout, enableForeignKeyConstraints: true, readOnly }
    this.database = new DatabaseSync(file, options)
    try {
      this.database.exec(`${readOnly ? "" : writing}${common}`)
    } catch (cause) {
      this.database.close()
      throw cause
    }
  }

  get isTransaction(): boolean {
    return this.database.isTransaction
  }

  /** The file went away under us, or is damaged: open it anew, unless a transaction still has to be ended. */
  get isBroken(): boolean {
    return this.fatal && !this.database.isTransaction
  }

  rows(sql: string, params: ReadonlyArray<unknown>): ReadonlyArray<Record<string, unknown>> {
    return this.guard(() => this.prepare(sql, false).all(...params.map(bindable)))
  }

  values(sql: string, params: ReadonlyArray<unknown>): ReadonlyArray<ReadonlyArray<unknown>> {
    // as: what a statement answers that returns arrays; the types know of objects only.
    return this.guard(
      () => this.prepare(sql, true).all(...params.map(bindable)) as unknown as Array<Array<unknown>>
    )
  }

  /** Puts all that was committed into the file itself, as far as no reader hinders it. */
  checkpoint(): void {
    this.database.exec("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  close(): void {
    this.statements.clear()
    if (this.database.isOpen) this.database.close()
  }

  private prepare(sql: string, arrays: boolean): StatementSync {
    const key = arrays ? `values ${sql}` : sql
    const prepared = this.statements.get(key) ?? this.database.prepare(sql)
    if (arrays) prepared.setReturnArrays(true)
    // A Map keeps the order of insertion: the one used last goes to its end, the one at its front is dropped.
    this.statements.delete(key)
    this.statements.set(key, prepared)
    if (this.statements.size > maxStatements) {
      for (const oldest of this.statements.keys()) {
        this.statements.delete(oldest)
        break
      }
    }
    return prepared
  }

  private guard<A>(f: () => A): A {
    try {
      return f()
    } catch (cause) {
      if (cause instanceof Error && "errcode" in cause && fatalCodes.has(Number(cause.errcode) & 0xff)) {
        this.fatal = true
      }
      throw cause
    }
  }
}

const bindable = (value: unknown): SQLInputValue => {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "bigint") {
    return value
  }
  if (value instanceof Uint8Array) return value
  throw new TypeError(`cannot bind a ${typeof value} to an SQL parameter`)
}
