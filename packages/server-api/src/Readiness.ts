import { Context, Effect, Layer, Ref } from "effect"

/** What this server needs to serve, asked anew each time, and what keeps it from it. */
export class Readiness extends Context.Service<
  Readiness,
  {
    /** Adds something to ask, by name; it answers why it is missing, or undefined. */
    readonly require: (name: string, missing: Effect.Effect<string | undefined>) => Effect.Effect<void>
    /** What is missing now. Empty: ready. */
    readonly missing: Effect.Effect<ReadonlyArray<{ readonly name: string; readonly reason: string }>>
    /** From now on nothing new is to be sent here. */
    readonly drain: Effect.Effect<void>
  }
>()("@edge-relay/server-api/Readiness") {
  static readonly layer = Layer.effect(
    Readiness,
    Effect.gen(function* () {
      const checks = yield* Ref.make<
        ReadonlyArray<{ name: string; missing: Effect.Effect<string | undefined> }>
      >([])
      const draining = yield* Ref.make(false)

      const missing = Effect.gen(function* () {
        const asked = yield* Effect.forEach(
          yield* Ref.get(checks),
          ({ name, missing }) =>
            missing.pipe(
              Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed("does not answer") }),
              Effect.map((reason) => ({ name, reason }))
            ),
          { concurrency: "unbounded" }
        )
        const found = asked.flatMap(({ name, reason }) => (reason === undefined ? [] : [{ name, reason }]))
        return (yield* Ref.get(draining)) ? [{ name: "server", reason: "is shutting down" }, ...found] : found
      })

      return Readiness.of({
        require: (name, missing) => Ref.update(checks, (all) => [...all, { name, missing }]),
        missing,
        drain: Ref.set(draining, true)
      })
    })
  )
}

/** Whoever asks gives up after a few seconds themselves. */
const patience = "2 seconds"
