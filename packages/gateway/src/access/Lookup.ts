import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Cause, Effect, Exit, type Fiber } from "effect"

/** What this process's memory holds, at once; all else as an effect that finds it. The first costs no fiber. */
export type Lookup<A> = A | Effect.Effect<A, StorageUnavailable>

export const toEffect = <A>(lookup: Lookup<A>): Effect.Effect<A, StorageUnavailable> =>
  Effect.isEffect(lookup) ? lookup : Effect.succeed(lookup)

export interface Follower<A> {
  readonly fork: <B, E>(effect: Effect.Effect<B, E>) => Fiber.Fiber<B, E>
  readonly found: (found: A) => void
  /** It could not be looked up, or `found` threw in a turn of its own. */
  readonly failed: (cause: Cause.Cause<StorageUnavailable>) => void
}

/** Goes on in the same turn with what is known; what `found` throws then is the caller's to catch. */
export const follow = <A>(lookup: Lookup<A>, { failed, fork, found }: Follower<A>): void => {
  if (!Effect.isEffect(lookup)) return found(lookup)
  fork(lookup).addObserver((exit) => {
    if (Exit.isFailure(exit)) return failed(exit.cause)
    try {
      found(exit.value)
    } catch (error) {
      failed(Cause.die(error))
    }
  })
}
