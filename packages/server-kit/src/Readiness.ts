import { Context, Effect, Layer, Ref } from "effect"

/** Something that a server needs to serve, and why it is missing. */
export interface Missing {
  readonly name: string
  readonly reason: string
}

/** What keeps a server from serving, asked anew each time: an outage heals without a restart. */
export class Readiness extends Context.Service<
  Readiness,
  {
    /** Adds something to ask, by name; it fails, with the reason, while it is missing. */
    readonly require: (
      name: string,
      ready: Effect.Effect<void, { readonly reason: string }>
    ) => Effect.Effect<void>
    /** What is missing now. Empty: ready. */
    readonly missing: Effect.Effect<ReadonlyArray<Missing>>
    /** From now on nothing new is to be sent here. */
    readonly drain: Effect.Effect<void>
  }
>()("@edge-relay/server-kit/Readiness") {
  static readonly layer: Layer.Layer<Readiness> = Layer.effect(
    Readiness,
    Effect.gen(function* () {
      const checks = yield* Ref.make<ReadonlyArray<Effect.Effect<ReadonlyArray<Missing>>>>([])
      const draining = yield* Ref.make(false)
      return Readiness.of({
        require: (name, ready) => Ref.update(checks, (all) => [...all, check(name, ready)]),
        missing: Effect.gen(function* () {
          const found = yield* Effect.all(yield* Ref.get(checks), { concurrency: "unbounded" })
          const stopping = (yield* Ref.get(draining)) ? [{ name: "server", reason: "is shutting down" }] : []
          return [...stopping, ...found.flat()]
        }),
        drain: Ref.set(draining, true)
      })
    })
  )
}

const check = (name: string, ready: Effect.Effect<void, { readonly reason: string }>) =>
  ready.pipe(
    Effect.timeoutOrElse({ duration: PATIENCE, orElse: () => Effect.fail({ reason: "does not answer" }) }),
    Effect.match({
      onFailure: ({ reason }): ReadonlyArray<Missing> => [{ name, reason }],
      onSuccess: () => []
    })
  )

/** Whoever asks gives up after a few seconds themselves. */
const PATIENCE = "2 seconds"
