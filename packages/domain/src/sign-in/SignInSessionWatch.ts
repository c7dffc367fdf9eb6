import type { SignInSessionId } from "../ids/SignInSessionId.ts"
import { type EndReason, isLive, type SignInSession } from "./SignInSession.ts"

/** How long an end is remembered, for whoever begins to watch a moment too late. */
const rememberMillis = 60_000

/**
 * Who wants to know that a session has ended: one map for all sessions, shared by every backend. Callbacks are
 * plain functions that must not throw: each of thousands of open sockets is one.
 */
export class SignInSessionWatch {
  readonly #watched = new Map<
    SignInSessionId,
    { session: SignInSession; readonly callbacks: Set<(reason: EndReason) => void> }
  >()
  /** Insertion order is the order of time. */
  readonly #recent = new Map<SignInSessionId, { readonly reason: EndReason; readonly at: number }>()

  watch(session: SignInSession, onEnded: (reason: EndReason) => void): () => void {
    const recent = this.#recent.get(session.id)
    if (recent !== undefined) {
      // Not before the caller has the function that stops it.
      queueMicrotask(() => onEnded(recent.reason))
      return () => {}
    }
    const entry = this.#watched.get(session.id) ?? { session, callbacks: new Set() }
    this.#watched.set(session.id, entry)
    // A function of its own: the same callback given twice is two watchers.
    const callback = (reason: EndReason) => onEnded(reason)
    entry.callbacks.add(callback)
    return () => {
      entry.callbacks.delete(callback)
      if (entry.callbacks.size === 0 && this.#watched.get(session.id) === entry) {
        this.#watched.delete(session.id)
      }
    }
  }

  /** Whether a session has ended in the last minute: what was read of it before is not to be believed. */
  hasEnded(id: SignInSessionId): boolean {
    return this.#recent.has(id)
  }

  /** A newer state of a session: its idle end has moved. */
  update(session: SignInSession): void {
    const entry = this.#watched.get(session.id)
    if (entry !== undefined && entry.session.lastSeenAt <= session.lastSeenAt) entry.session = session
  }

  /** Watched sessions whose time is up, as far as this process knows. */
  due(now: number): ReadonlyArray<SignInSession> {
    const due: Array<SignInSession> = []
    for (const { session } of this.#watched.values()) if (!isLive(session, now)) due.push(session)
    return due
  }

  watched(): ReadonlyArray<SignInSession> {
    return Array.from(this.#watched.values(), (entry) => entry.session)
  }

  /** Tells everybody, once for each session. */
  fire(id: SignInSessionId, reason: EndReason, now: number): void {
    for (const [old, { at }] of this.#recent) {
      if (now - at < rememberMillis) break
      this.#recent.delete(old)
    }
    if (this.#recent.has(id)) return
    this.#recent.set(id, { reason, at: now })
    const entry = this.#watched.get(id)
    this.#watched.delete(id)
    if (entry !== undefined) for (const callback of entry.callbacks) callback(reason)
  }
}
