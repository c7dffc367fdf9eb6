import * as fs from "node:fs"
import * as path from "node:path"
import { SqliteDatabase } from "./SqliteDatabase.ts"

/**
 * The two connections of a process to one SQLite file: one writes, one only reads, and in WAL mode reads go on
 * whoever writes. They are opened by the first statement, and opened anew where that failed, so that a process
 * outlives a disk that was away.
 *
 * The file is known by its device and inode. One that has been moved or deleted under the process is not made anew,
 * since what was stored would seem to be gone; one that has taken its place is opened. Throws as `node:sqlite` does.
 */

/** How often it is looked whether the path still names the file that is open. */
const lookEveryMillis = 500

/** The path does not name the file that is open. */
class FileMoved extends Error {}

interface Open {
  readonly writer: SqliteDatabase
  readonly reader: SqliteDatabase
  readonly identity: string | undefined
}

export class SqliteFile {
  readonly #path: string
  readonly #onChange: () => void
  #open: Open | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  /** It has been open: from then on it is not created. */
  #mustExist = false

  /** `onChange`: the connections are new ones, perhaps to another database. */
  constructor(path: string, onChange: () => void) {
    this.#path = path
    this.#onChange = onChange
  }

  /** The connections, to be taken anew for each statement outside a transaction. `now` in milliseconds. */
  connections(now: number): Open {
    const open = this.#open
    if (open !== undefined && (open.writer.isBroken || open.reader.isBroken)) this.#drop(open)
    else if (open !== undefined && now - this.#lookedAt >= lookEveryMillis) this.#look(open, now)
    return (this.#open ??= this.#begin(now))
  }

  close(): void {
    this.#open?.reader.close()
    // The last to close checkpoints and removes the log.
    this.#open?.writer.close()
    this.#open = undefined
  }

  #look(open: Open, now: number): void {
    this.#lookedAt = now
    const identity = identityOf(this.#path)
    // A transaction ends in the file in which it began.
    if (identity === open.identity || open.writer.isTransaction) return
    if (identity === undefined) {
      try {
        // What was acknowledged is in the file, wherever it is now, and not in a log that stayed behind.
        open.writer.checkpoint()
      } catch {
        // A reader, or a disk that is away: the log stays where it is.
      }
    }
    this.#drop(open)
    throw new FileMoved(
      identity === undefined
        ? "the database file has been moved or deleted"
        : "another database file has taken its place: it is opened now"
    )
  }

  #drop(open: Open): void {
    open.reader.close()
    open.writer.close()
    this.#open = undefined
    this.#onChange()
  }

  #begin(now: number): Open {
    if (this.#path === ":memory:") {
      const both = new SqliteDatabase(this.#path)
      return { writer: both, reader: both, identity: undefined }
    }
    if (this.#mustExist) {
      if (!fs.existsSync(this.#path)) throw new FileMoved("the database file has been moved or deleted")
    } else createPrivately(this.#path)
    const writer = new SqliteDatabase(this.#path)
    try {
      const reader = new SqliteDatabase(this.#path, { readOnly: true })
      this.#mustExist = true
      this.#lookedAt = now
      return { writer, reader, identity: identityOf(this.#path) }
    } catch (cause) {
      writer.close()
      throw cause
    }
  }
}

const identityOf = (file: string): string | undefined => {
  if (file === ":memory:") return undefined
  const stats = fs.statSync(file, { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`
}

/** Only our own user may look into it. SQLite gives `-wal` and `-shm` the mode of the file itself. */
const createPrivately = (file: string): void => {
  if (fs.existsSync(file)) return
  fs.mkdirSync(path.dirname(path.resolve(file)), { recursive: true, mode: 0o700 })
  fs.closeSync(fs.openSync(file, "a", 0o600))
}
