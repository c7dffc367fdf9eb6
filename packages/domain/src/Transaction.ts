import { Context, type Effect, Layer } from "effect"
import type { StorageUnavailable } from "./StorageUnavailable.ts"

/**
 * Makes several operations of the repositories one: all of them happen, or none. A store that cannot roll back
 * (memory) runs them as they are, so that whoever uses this also undoes by hand where the half would matter.
 */
export class Transaction extends Context.Service<
  Transaction,
  {
    /** Commits when `effect` succeeds, rolls back when it fails, dies or is interrupted. Nests. */
    readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageUnavailable, R>
  }
>()("@edge-relay/domain/Transaction") {
  /** Cannot roll back. */
  static readonly layerMemory = Layer.succeed(Transaction, Transaction.of({ run: (effect) => effect }))
}
