import { TICK_MILLIS } from "../../src/Timers.ts"
import type { Timers, Watched } from "../../src/Timers.ts"

/** A clock that a test moves. */
export class TestTimers implements Timers {
  #now = 1_000
  readonly #watching = new Set<Watched>()
  readonly #pending = new Map<() => void, number>()

  readonly now = (): number => this.#now

  readonly after = (millis: number, callback: () => void): (() => void) => {
    const entry = (): void => callback()
    this.#pending.set(entry, this.#now + millis)
    return () => this.#pending.delete(entry)
  }

  readonly watch = (watched: Watched): void => {
    this.#watching.add(watched)
  }

  readonly unwatch = (watched: Watched): void => {
    this.#watching.delete(watched)
  }

  /** Sessions with a deadline. */
  get watched(): number {
    return this.#watching.size
  }

  /** How many callbacks are outstanding: none once a session has ended. */
  get active(): number {
    return this.#watching.size + this.#pending.size
  }

  advance(millis: number): void {
    const end = this.#now + millis
    while (this.#now < end) {
      this.#now = Math.min(this.#now + TICK_MILLIS, end)
      for (const [entry, due] of this.#pending) {
        if (due > this.#now) continue
        this.#pending.delete(entry)
        entry()
      }
      for (const watched of this.#watching) watched.check(this.#now)
    }
  }
}
