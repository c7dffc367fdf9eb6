import { Schema } from "effect"
import { readFileSync, renameSync, writeFileSync } from "node:fs"
import type { Entries } from "./Storage.ts"
import { type Keys, makeKeys } from "./Keys.ts"

/**
 * What the provider keeps over a restart, in a file that is its owner's alone: its keys, without which nobody would
 * know its tokens, and what it has handed out. A file that cannot be read is begun anew.
 */

const State = Schema.fromJsonString(
  Schema.Struct({
    keys: Schema.Struct({ signing: Schema.Record(Schema.String, Schema.Unknown), cookie: Schema.String }),
    entries: Schema.Array(
      Schema.Tuple([
        Schema.String,
        Schema.Struct({
          payload: Schema.Record(Schema.String, Schema.Unknown),
          expiresAt: Schema.NullOr(Schema.Finite)
        })
      ])
    )
  })
)

const decode = Schema.decodeUnknownSync(State)

/** Milliseconds in which changes are gathered: a sign-in makes a dozen. */
const gatherMillis = 100

export class StateFile {
  readonly keys: Keys
  readonly entries: Entries
  readonly #path: string | undefined
  readonly #onError: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined

  /** Without a path, all is kept in memory. */
  static readonly open = async (
    path: string | undefined,
    onError: (error: unknown) => void
  ): Promise<StateFile> => {
    const kept = path === undefined ? undefined : read(path)
    return new StateFile(path, kept?.keys ?? (await makeKeys()), kept?.entries ?? new Map(), onError)
  }

  private constructor(
    path: string | undefined,
    keys: Keys,
    entries: Entries,
    onError: (error: unknown) => void
  ) {
    this.#path = path
    this.keys = keys
    this.entries = entries
    this.#onError = onError
  }

  /** Something has changed: it is written soon. */
  readonly touch = (): void => {
    if (this.#path !== undefined) this.#timer ??= setTimeout(this.close, gatherMillis)
  }

  /** Writes what has not been written yet. */
  readonly close = (): void => {
    if (this.#path === undefined || this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    try {
      // Whole or not at all: the process may be killed in between.
      const next = `${this.#path}.next`
      const state = { keys: this.keys, entries: Array.from(this.entries) }
      writeFileSync(next, JSON.stringify(state), { mode: 0o600 })
      renameSync(next, this.#path)
    } catch (error) {
      this.#onError(error)
    }
  }
}

const read = (path: string): { readonly keys: Keys; readonly entries: Entries } | undefined => {
  try {
    const { entries, keys } = decode(readFileSync(path, "utf8"))
    return {
      // As `close` has written them; nobody else writes this file.
      keys: keys as Keys,
      entries: new Map(entries)
    }
  } catch {
    return undefined
  }
}
