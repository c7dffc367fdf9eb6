import { Option } from "effect"
import {
  maxPending,
  maxPendingOfAll,
  type PendingSignIn,
  pendingMillis,
  rememberedMillis,
  type RememberedSignIn,
  type SessionIdHash
} from "./SignInSession.ts"

interface Kept extends PendingSignIn {
  readonly isSpent: boolean
}

/** The sign-ins under way of each browser, in memory: `SignInSessionsMemory.layer` keeps them here. */
export class PendingSignIns {
  /** Map order is the order of each browser's last sign-in, so the first entry is the first to be forgotten. */
  readonly #browsers = new Map<SessionIdHash, ReadonlyArray<Kept>>()
  /** Whose browser a state is of. */
  readonly #states = new Map<string, SessionIdHash>()

  /** Whether a browser has begun a sign-in that is not old yet, finished or not. */
  has(browser: SessionIdHash, now: number): boolean {
    return this.#of(browser).some(({ startedAt }) => startedAt + pendingMillis > now)
  }

  add(browser: SessionIdHash, pending: PendingSignIn, now: number): void {
    const others = this.#of(browser)
    // Dropped first, so that the browser moves to the end of the map's order.
    this.drop(browser)
    this.#set(browser, [...others, { ...pending, isSpent: false }].slice(-maxPending))
    this.dropOld(now)
  }

  /** Takes the sign-in of that state, once. */
  take(browser: SessionIdHash, state: string, now: number): Option.Option<PendingSignIn> {
    const kept = this.#of(browser)
    const taken = kept.find((one) => one.state === state)
    if (taken === undefined || !isOpen(taken, now)) return Option.none()
    // Its secrets are of no more use.
    const spent = { ...taken, nonce: "", codeVerifier: "", isSpent: true }
    this.#set(
      browser,
      kept.map((one) => (one === taken ? spent : one))
    )
    const { isSpent: _isSpent, ...pending } = taken
    return Option.some(pending)
  }

  remembered(state: string, now: number): Option.Option<RememberedSignIn> {
    const browser = this.#states.get(state)
    const found = browser === undefined ? undefined : this.#of(browser).find((one) => one.state === state)
    if (found === undefined || found.startedAt + rememberedMillis <= now) return Option.none()
    return Option.some({ returnTo: found.returnTo, isOpen: isOpen(found, now) })
  }

  /** Drops every sign-in of a browser. */
  drop(browser: SessionIdHash): void {
    for (const { state } of this.#of(browser)) this.#states.delete(state)
    this.#browsers.delete(browser)
  }

  /** Drops what is no longer remembered, and what exceeds the bound. */
  dropOld(now: number): void {
    for (const [browser, kept] of this.#browsers) {
      const last = kept.at(-1)
      const stale = last === undefined || last.startedAt + rememberedMillis <= now
      if (!stale && this.#states.size <= maxPendingOfAll) return
      this.drop(browser)
    }
  }

  #of(browser: SessionIdHash): ReadonlyArray<Kept> {
    return this.#browsers.get(browser) ?? []
  }

  #set(browser: SessionIdHash, kept: ReadonlyArray<Kept>): void {
    this.#browsers.set(browser, kept)
    for (const { state } of kept) this.#states.set(state, browser)
  }
}

const isOpen = ({ isSpent, startedAt }: Kept, now: number): boolean =>
  !isSpent && startedAt + pendingMillis > now
