import type { SignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import type { Exchange } from "./Exchange.ts"

/**
 * The requests under way, by the session that asked: when a session ends, so do they. A session is watched once,
 * from its first request until it has been without one for a sweep, not once a request.
 */
export class LiveExchanges {
  readonly #watch: (session: SignInSession, onEnded: () => void) => () => void
  readonly #sessions = new Map<string, { readonly live: Set<Exchange>; readonly unwatch: () => void }>()

  readonly #anonymous = new Set<Exchange>()

  constructor(watch: (session: SignInSession, onEnded: () => void) => () => void) {
    this.#watch = watch
  }

  add(exchange: Exchange): void {
    const { session } = exchange.forwarding
    // A preflight: it ends by its deadline.
    if (session === undefined) {
      this.#anonymous.add(exchange)
      return
    }
    const known = this.#sessions.get(session.id)
    if (known !== undefined) {
      known.live.add(exchange)
      return
    }
    const live = new Set([exchange])
    const unwatch = this.#watch(session, () => this.#endSession(session.id, live))
    this.#sessions.set(session.id, { live, unwatch })
  }

  remove(exchange: Exchange): void {
    const { session } = exchange.forwarding
    if (session === undefined) this.#anonymous.delete(exchange)
    else this.#sessions.get(session.id)?.live.delete(exchange)
  }

  /** Visits each, and lets go of sessions that have none. */
  sweep(visit: (exchange: Exchange) => void): void {
    for (const exchange of this.#anonymous) visit(exchange)
    for (const [id, { live, unwatch }] of this.#sessions) {
      for (const exchange of live) visit(exchange)
      if (live.size > 0) continue
      unwatch()
      this.#sessions.delete(id)
    }
  }

  #endSession(id: string, live: ReadonlySet<Exchange>): void {
    this.#sessions.get(id)?.unwatch()
    this.#sessions.delete(id)
    for (const exchange of live) exchange.endSession()
  }
}
