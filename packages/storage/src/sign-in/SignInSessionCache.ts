import { isLive, type SessionIdHash, type SignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import type { SignInSessionWatch } from "@edge-relay/domain/sign-in/SignInSessionWatch"

/** Sessions kept in a server's memory; the least recently read fall out. */
const maxSessions = 10_000

/** What other servers change without ending it (its idle end) is read anew after this. */
const maxAgeMillis = 30_000

/** What another server has ended is answered for no longer than this. */
const maxBehindMillis = 1000

/** Sessions used since they were last written. */
const maxTouched = 100_000

/**
 * Sessions in this process's memory, so that a request costs no query. They are believed only while the list of
 * ended sessions has been read within the last second.
 */
export class SignInSessionCache {
  readonly #watch: SignInSessionWatch
  readonly #sessions = new Map<SessionIdHash, { readonly session: SignInSession; readonly readAt: number }>()
  readonly #touched = new Map<SessionIdHash, number>()
  #checkedAt: number

  /** What is read from now on was not ended before. */
  constructor(watch: SignInSessionWatch, now: number) {
    this.#watch = watch
    this.#checkedAt = now
  }

  get isEmpty(): boolean {
    return this.#sessions.size === 0
  }

  /** When the list of ended sessions was last asked for, successfully; at first, when this was made. */
  get checkedAt(): number {
    return this.#checkedAt
  }

  checked(at: number): void {
    this.#checkedAt = at
  }

  get(id: SessionIdHash, now: number): SignInSession | undefined {
    const entry = this.#sessions.get(id)
    if (entry === undefined || now - this.#checkedAt > maxBehindMillis) return undefined
    if (now - entry.readAt > maxAgeMillis || !isLive(entry.session, now)) return undefined
    return entry.session
  }

  /** Takes what was read of a session; undefined where it is over by now. */
  put(read: SignInSession, now: number): SignInSession | undefined {
    if (this.#watch.hasEnded(read.id)) return undefined
    const touchedAt = this.#touched.get(read.idHash) ?? 0
    const session = touchedAt > read.lastSeenAt ? { ...read, lastSeenAt: touchedAt } : read
    this.#watch.update(session)
    if (!isLive(session, now)) return undefined
    this.#sessions.delete(session.idHash)
    this.#sessions.set(session.idHash, { session, readAt: now })
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size <= maxSessions) break
      this.#sessions.delete(oldest)
    }
    return session
  }

  delete(id: SessionIdHash): void {
    this.#sessions.delete(id)
    this.#touched.delete(id)
  }

  clear(): void {
    this.#sessions.clear()
  }

  touch(id: SessionIdHash, now: number): void {
    const entry = this.#sessions.get(id)
    // What is over is not brought back by being used.
    if (entry !== undefined && !isLive(entry.session, now)) return
    if (this.#touched.size < maxTouched) this.#touched.set(id, now)
    if (entry === undefined || entry.session.lastSeenAt >= now) return
    const session = { ...entry.session, lastSeenAt: now }
    this.#sessions.set(id, { session, readAt: entry.readAt })
    this.#watch.update(session)
  }

  /** What is to be written; given back by `touch` where that fails. */
  takeTouched(): ReadonlyArray<readonly [SessionIdHash, number]> {
    const touched = Array.from(this.#touched)
    this.#touched.clear()
    return touched
  }
}
