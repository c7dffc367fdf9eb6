import { Context, Effect, Layer } from "effect"

/** Something that a proxy needs in order to take tunnels, and cannot make by itself. */
export interface Need {
  readonly name: string
  /** Fails, with the reason, while it is missing. */
  readonly ready: Effect.Effect<void, { readonly reason: string }>
}

/** What keeps the proxy from serving, asked anew each time: an outage heals without a restart. */
export class Readiness extends Context.Service<
  Readiness,
  {
    readonly missing: Effect.Effect<ReadonlyArray<{ readonly name: string; readonly reason: string }>>
  }
>()("@edge-relay/server-proxy/Readiness") {
  static readonly layer = (needs: ReadonlyArray<Need>): Layer.Layer<Readiness> =>
    Layer.succeed(Readiness, {
      missing: Effect.map(
        Effect.forEach(
          needs,
          ({ name, ready }) =>
            ready.pipe(
              Effect.timeoutOrElse({
                duration: PATIENCE,
                orElse: () => Effect.fail({ reason: "does not answer" })
              }),
              Effect.match({ onFailure: ({ reason }) => [{ name, reason }], onSuccess: () => [] })
            ),
          { concurrency: "unbounded" }
        ),
        (missing) => missing.flat()
      )
    })
}

/** Whoever asks gives up after a few seconds themselves. */
const PATIENCE = "2 seconds"
