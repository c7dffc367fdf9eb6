import { Context, Effect, Layer, Metric, Ref, Schedule } from "effect"

/** Something that a server needs to serve, and why it is missing. */
export interface Missing {
  readonly name: string
  readonly reason: string
}

/** What a server lacks. */
export interface Lacks {
  /** It serves nothing without these: nothing is to be sent here. */
  readonly missing: ReadonlyArray<Missing>
  /** Every server of its kind lacks these as well, so that no other would do better. */
  readonly degraded: ReadonlyArray<Missing>
}

type Ready = Effect.Effect<void, { readonly reason: string }>

/** What keeps a server from serving, asked anew each time: an outage heals without a restart. */
export class Readiness extends Context.Service<
  Readiness,
  {
    /** Adds something of this server's own, by name; it fails, with the reason, while it is missing. */
    readonly require: (name: string, ready: Ready) => Effect.Effect<void>
    /**
     * Adds something that all servers of the kind share. It is missing until this server has found it once, so that
     * one that is started with a wrong address gets no work; from then on its absence only degrades.
     */
    readonly share: (name: string, ready: Ready) => Effect.Effect<void>
    readonly lacks: Effect.Effect<Lacks>
    /** From now on nothing new is to be sent here. */
    readonly drain: Effect.Effect<void>
  }
>()("@edge-relay/server-kit/Readiness") {
  static readonly layer: Layer.Layer<Readiness> = Layer.effect(
    Readiness,
    Effect.gen(function* () {
      const checks = yield* Ref.make<ReadonlyArray<Check>>([])
      const draining = yield* Ref.make(false)
      const add = (name: string, ready: Ready, isShared: boolean) =>
        // By name: the parts of a server are built in no order.
        Ref.update(checks, (all) =>
          [...all, { name, ready, isShared, wasFound: false }].sort((one, other) =>
            one.name < other.name ? -1 : 1
          )
        )
      const lacks = Effect.gen(function* () {
        const stopping = (yield* Ref.get(draining)) ? [{ name: "server", reason: "is shutting down" }] : []
        const all = yield* Ref.get(checks)
        const found = (yield* Effect.forEach(all, find, { concurrency: "unbounded" })).flat()
        return {
          missing: [...stopping, ...found.filter(({ degrades }) => !degrades).map(({ missing }) => missing)],
          degraded: found.filter(({ degrades }) => degrades).map(({ missing }) => missing)
        }
      })
      // For the metric: nobody need ask for it.
      yield* Effect.forkScoped(Effect.repeat(lacks, Schedule.spaced("15 seconds")))
      return Readiness.of({
        require: (name, ready) => add(name, ready, false),
        share: (name, ready) => add(name, ready, true),
        lacks,
        drain: Ref.set(draining, true)
      })
    })
  )
}

interface Check {
  readonly name: string
  readonly ready: Ready
  readonly isShared: boolean
  wasFound: boolean
}

const find = (check: Check) =>
  check.ready.pipe(
    Effect.timeoutOrElse({ duration: PATIENCE, orElse: () => Effect.fail({ reason: "does not answer" }) }),
    Effect.match({
      onFailure: ({ reason }) => [
        { missing: { name: check.name, reason }, degrades: check.isShared && check.wasFound }
      ],
      onSuccess: () => {
        check.wasFound = true
        return []
      }
    }),
    Effect.tap((found) =>
      Metric.update(Metric.withAttributes(isReady, { name: check.name }), found.length === 0 ? 1 : 0)
    )
  )

const isReady = Metric.gauge("dependency_ready", {
  description: "Whether this server found what it depends on, when it last looked: 1, or 0"
})

/** Whoever asks gives up after a few seconds themselves. */
const PATIENCE = "2 seconds"
