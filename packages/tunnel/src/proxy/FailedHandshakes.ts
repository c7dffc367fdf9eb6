import { sharedAddress } from "@edge-relay/domain/SharedAddress"

/**
 * Counts handshakes that failed, by address, in fixed windows. Only failures count: ten thousand good agents
 * may come back from behind one address, and one that guesses tokens is stopped before the database is asked.
 */
export class FailedHandshakes {
  readonly #limit: number
  readonly #windowMillis: number
  readonly #windows = new Map<string, { failures: number; readonly endsAt: number }>()

  constructor(limit: number, windowMillis: number) {
    this.#limit = limit
    this.#windowMillis = windowMillis
  }

  /** Milliseconds until this address is listened to again; 0 where it is now. */
  retryAfterMillis(address: string, now: number): number {
    const window = this.#windows.get(sharedAddress(address))
    return window !== undefined && window.failures >= this.#limit ? Math.max(0, window.endsAt - now) : 0
  }

  record(address: string, now: number): void {
    const key = sharedAddress(address)
    const window = this.#windows.get(key)
    if (window !== undefined && window.endsAt > now) {
      window.failures++
      return
    }
    // Set anew, so that the map's order is the order in which windows end.
    this.#windows.delete(key)
    this.#windows.set(key, { failures: 1, endsAt: now + this.#windowMillis })
    this.#forget(now)
  }

  #forget(now: number): void {
    for (const [key, window] of this.#windows) {
      if (window.endsAt > now && this.#windows.size <= MAX_ADDRESSES) return
      this.#windows.delete(key)
    }
  }
}

/** About 2 MB. Whoever has more addresses than that is not to be stopped by counting addresses. */
const MAX_ADDRESSES = 20_000
