import { Effect, Schedule } from "effect"

/** Waits until a condition holds, asking every few milliseconds for up to 30 seconds of real time, or longer on a busy machine. */
export const eventually = (what: string, condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.fail("not yet"))).pipe(
    Effect.retry(Schedule.max([Schedule.spaced("5 millis"), Schedule.recurs(6_000)])),
    Effect.catch(() => Effect.die(new Error(`waited in vain for: ${what}`)))
  )

/** The same for a condition that has to be asked for. */
export const eventuallyEffect = <E, R>(
  what: string,
  condition: Effect.Effect<boolean, E, R>
): Effect.Effect<void, E, R> =>
  condition.pipe(
    Effect.repeat({
      until: (holds) => holds,
      schedule: Schedule.max([Schedule.spaced("5 millis"), Schedule.recurs(6_000)])
    }),
    Effect.flatMap((holds) => (holds ? Effect.void : Effect.die(new Error(`waited in vain for: ${what}`))))
  )
