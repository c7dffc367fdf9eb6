import { Deferred, Effect, type Scope } from "effect"

/**
 * One run for all who ask while it runs. It runs in the given scope: whoever began it may give up without the
 * others losing it.
 */
export const coalesce = <A, E>(effect: Effect.Effect<A, E>, scope: Scope.Scope): Effect.Effect<A, E> => {
  let running: Deferred.Deferred<A, E> | undefined
  return Effect.suspend(() => {
    if (running !== undefined) return Deferred.await(running)
    const deferred = Deferred.makeUnsafe<A, E>()
    running = deferred
    return effect.pipe(
      Effect.onExit((exit) => {
        running = undefined
        return Deferred.done(deferred, exit)
      }),
      Effect.forkIn(scope, { startImmediately: true }),
      Effect.andThen(Deferred.await(deferred))
    )
  })
}
