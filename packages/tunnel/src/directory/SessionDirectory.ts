import { Context, Effect, Layer, Option, Schema, Stream } from "effect"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"

/**
 * Which proxy holds an edge's tunnel, for the whole cluster. Each claim takes a fencing number, greater than
 * every earlier one; a proxy closes what it holds under a smaller number, and a claim is given up only by
 * naming its number. So an old proxy, however late it is, never takes an edge away from a newer one.
 */

export class DirectoryUnavailable extends Schema.TaggedError<DirectoryUnavailable>()("DirectoryUnavailable", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `session directory unavailable in ${this.operation}`
  }
}

export interface Claim {
  readonly edgeId: EdgeId
  readonly fence: number
}

export class SessionDirectory extends Context.Service<
  SessionDirectory,
  {
    /** This proxy holds the edge from now on. */
    readonly claim: (edgeId: EdgeId) => Effect.Effect<Claim, DirectoryUnavailable>
    /** Gives the claim up while it is the current one; answers whether it was. */
    readonly release: (claim: Claim) => Effect.Effect<boolean, DirectoryUnavailable>
    /** The internal address of the proxy that holds the edge: `http://10.0.0.7:3801`. */
    readonly locate: (edgeId: EdgeId) => Effect.Effect<Option.Option<string>, DirectoryUnavailable>
    /** Claims of all proxies, as they are made. */
    readonly claims: Stream.Stream<Claim>
    /** Every proxy that is alive, by its internal address. */
    readonly proxies: Effect.Effect<ReadonlyArray<string>, DirectoryUnavailable>
    /** Whether this proxy may take tunnels: one that has lost its lease may not. */
    readonly isAccepting: Effect.Effect<boolean>
  }
>()("@edge-relay/tunnel/directory/SessionDirectory") {
  /** One proxy, which therefore holds whatever edge is online. Serves that proxy, and the api beside it. */
  static readonly layerMemory = (proxyUrl: string): Layer.Layer<SessionDirectory> =>
    Layer.sync(SessionDirectory, () => {
      let fence = 0
      const latest = new Map<EdgeId, number>()
      return SessionDirectory.of({
        claim: (edgeId) =>
          Effect.sync(() => {
            latest.set(edgeId, ++fence)
            return { edgeId, fence }
          }),
        release: (claim) =>
          Effect.sync(() => latest.get(claim.edgeId) === claim.fence && latest.delete(claim.edgeId)),
        locate: () => Effect.succeedSome(proxyUrl),
        claims: Stream.never,
        proxies: Effect.succeed([proxyUrl]),
        isAccepting: Effect.succeed(true)
      })
    })
}
