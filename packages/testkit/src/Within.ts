import { Effect } from "effect"

/**
 * Fails where `effect` takes more than `seconds` of the time that this process had. It is counted in waits of 50 ms,
 * one after another: a machine that is slow, or busy with something else, delays each of them, too, so that it does
 * not count against what is measured. For what runs in this process, or waits for another one.
 */
export const within = <A, E, R>(
  seconds: number,
  what: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.raceFirst(
    effect,
    Effect.sleep(waitMillis).pipe(
      Effect.repeat({ times: Math.ceil((seconds * 1000) / waitMillis) - 1 }),
      Effect.andThen(Effect.die(new Error(`not within ${seconds} s: ${what}`)))
    )
  )

const waitMillis = 50
