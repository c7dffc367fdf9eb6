import { Duration, Effect, Schedule } from "effect"

/** Waits for a condition, generously: a loaded machine is slow, not wrong. Real time. */
export const eventually = <E, R>(what: string, condition: Effect.Effect<boolean, E, R>) =>
  condition.pipe(
    Effect.repeat({
      until: (holds) => holds,
      schedule: Schedule.spaced(Duration.millis(20)).pipe(Schedule.upTo({ duration: Duration.seconds(15) }))
    }),
    Effect.filterOrElse(
      (holds) => holds,
      () => Effect.die(new Error(`did not happen: ${what}`))
    )
  )
