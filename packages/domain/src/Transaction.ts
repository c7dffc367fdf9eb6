import { Context, Effect, Layer } from "effect"
import type { StorageUnavailable } from "./StorageUnavailable.ts"

/**
 * Makes several operations of the repositories one: all of them happen, or none. A store that cannot roll back
 * (memory) runs them as they are, so that whoever uses this also says how to undo the half where that would matter.
 */
export class Transaction extends Context.Service<
  Transaction,
  {
    /**
     * Commits when `effect` succeeds, rolls back when it fails, dies or is interrupted. Nests. A store that cannot
     * roll back runs `undo` instead.
     */
    readonly run: <A, E, R>(
      effect: Effect.Effect<A, E, R>,
      undo?: Effect.Effect<void>
    ) => Effect.Effect<A, E | StorageUnavailable, R>
  }
>()("@edge-relay/domain/Transaction") {
  /** Cannot roll back. */
  static readonly layerMemory = Layer.succeed(
    Transaction,
    Transaction.of({
      run: (effect, undo) => (undo === undefined ? effect : Effect.onError(effect, () => undo))
    })
  )
}
