import type { Caller } from "../access/Caller.ts"
import type { Exchange } from "./Exchange.ts"

/**
 * The requests under way, by the session or token that asked: when that ends, so do they. Each is watched once,
 * from its first request until it has been without one for a sweep, not once a request.
 */
export class LiveExchanges {
  readonly #watch: (caller: Caller, onEnded: () => void) => () => void
  readonly #callers = new Map<string, { readonly live: Set<Exchange>; readonly unwatch: () => void }>()

  readonly #anonymous = new Set<Exchange>()

  constructor(watch: (caller: Caller, onEnded: () => void) => () => void) {
    this.#watch = watch
  }

  add(exchange: Exchange): void {
    const { caller } = exchange.forwarding
    // A preflight: it ends by its deadline.
    if (caller === undefined) {
      this.#anonymous.add(exchange)
      return
    }
    const known = this.#callers.get(caller.id)
    if (known !== undefined) {
      known.live.add(exchange)
      return
    }
    const live = new Set([exchange])
    const unwatch = this.#watch(caller, () => this.#endCaller(caller.id, live))
    this.#callers.set(caller.id, { live, unwatch })
  }

  remove(exchange: Exchange): void {
    const { caller } = exchange.forwarding
    if (caller === undefined) this.#anonymous.delete(exchange)
    else this.#callers.get(caller.id)?.live.delete(exchange)
  }

  /** Visits each, and lets go of callers that have none. */
  sweep(visit: (exchange: Exchange) => void): void {
    for (const exchange of this.#anonymous) visit(exchange)
    for (const [id, { live, unwatch }] of this.#callers) {
      for (const exchange of live) visit(exchange)
      if (live.size > 0) continue
      unwatch()
      this.#callers.delete(id)
    }
  }

  #endCaller(id: string, live: ReadonlySet<Exchange>): void {
    this.#callers.get(id)?.unwatch()
    this.#callers.delete(id)
    for (const exchange of live) exchange.endSession()
  }
}
