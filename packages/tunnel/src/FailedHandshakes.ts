import { isIPv6 } from "node:net"

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
    const window = this.#windows.get(network(address))
    return window !== undefined && window.failures >= this.#limit ? Math.max(0, window.endsAt - now) : 0
  }

  record(address: string, now: number): void {
    const key = network(address)
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

/** One customer has a /64 of IPv6 at least (RFC 6177), hence that is what is counted. */
const network = (address: string): string => {
  if (!isIPv6(address)) return address
  const [head = "", tail] = address.split("::")
  const left = head === "" ? [] : head.split(":")
  const right = tail === undefined || tail === "" ? [] : tail.split(":")
  const groups =
    tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill("0"), ...right]
  // An IPv4 address in IPv6's clothes ends in dots, and is one address of its own.
  return address.includes(".") ? address : groups.slice(0, 4).join(":")
}
