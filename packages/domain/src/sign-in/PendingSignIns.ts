import { Option } from "effect"
import { maxPending, type PendingSignIn, pendingMillis, type SessionIdHash } from "./SignInSession.ts"

/** Browsers that may be signing in at once. Past that the oldest is dropped, whoever it belongs to. */
const maxBrowsers = 50_000

/** The sign-ins under way of each browser, in memory: `SignInSessions.layerMemory` keeps them here. */
export class PendingSignIns {
  /** Map order is the order of each browser's last sign-in, so the first entry is the first to expire. */
  readonly #browsers = new Map<SessionIdHash, ReadonlyArray<PendingSignIn>>()

  has(browser: SessionIdHash, now: number): boolean {
    return this.#fresh(browser, now).length > 0
  }

  add(browser: SessionIdHash, pending: PendingSignIn, now: number): void {
    const others = this.#fresh(browser, now)
    // Deleted first, so that the browser moves to the end of the map's order.
    this.#browsers.delete(browser)
    this.#browsers.set(browser, [...others, pending].slice(-maxPending))
    this.dropOld(now)
  }

  /** Takes the sign-in of that state, once. */
  take(browser: SessionIdHash, state: string, now: number): Option.Option<PendingSignIn> {
    const pending = this.#fresh(browser, now)
    const taken = pending.find((one) => one.state === state)
    if (taken === undefined) return Option.none()
    this.#browsers.set(
      browser,
      pending.filter((one) => one !== taken)
    )
    return Option.some(taken)
  }

  /** Drops every sign-in of a browser. */
  drop(browser: SessionIdHash): void {
    this.#browsers.delete(browser)
  }

  /** Drops what has expired, and what exceeds the bound. */
  dropOld(now: number): void {
    for (const [browser, pending] of this.#browsers) {
      const last = pending.at(-1)
      const stale = last === undefined || last.startedAt + pendingMillis <= now
      if (!stale && this.#browsers.size <= maxBrowsers) return
      this.#browsers.delete(browser)
    }
  }

  #fresh(browser: SessionIdHash, now: number): ReadonlyArray<PendingSignIn> {
    return (this.#browsers.get(browser) ?? []).filter(({ startedAt }) => startedAt + pendingMillis > now)
  }
}
