import type { TenantId } from "../ids/TenantId.ts"
import type { EdgeId } from "../ids/EdgeId.ts"
import type { SessionSummary } from "./SessionStore.ts"
import { Context, Effect, Schema } from "effect"

/**
 * Which edges are online, anywhere in the cluster, as their proxies tell it. Known from memory, hence free to
 * ask; a fraction of a second old.
 */

/** What has changed. `session` is the tunnel that stands now. */
export type PresenceChange =
  | { readonly type: "edge.online"; readonly session: SessionSummary }
  | { readonly type: "edge.offline"; readonly edgeId: EdgeId; readonly tenantId: TenantId }
  | { readonly type: "edge.contended"; readonly edgeId: EdgeId; readonly tenantId: TenantId }

/** The proxy that holds the tunnel did not do what it was asked. */
export class ProxyUnavailable extends Schema.TaggedError<ProxyUnavailable>()("ProxyUnavailable", {
  url: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `proxy ${this.url} did not answer`
  }
}

export class Presence extends Context.Service<
  Presence,
  {
    /** The live tunnel of an edge, with its counters as they were last told. */
    readonly session: (edgeId: EdgeId) => SessionSummary | undefined
    /** Whether two machines fight for this edge's token. */
    readonly isContended: (edgeId: EdgeId) => boolean
    readonly onlineOf: (tenantId: TenantId) => ReadonlyArray<SessionSummary>
    /** Asks its proxy for the counters as they are now; from memory where that does not answer. */
    readonly refresh: (edgeId: EdgeId) => Effect.Effect<SessionSummary | undefined>
    /** Closes the tunnel of an edge; false where it had none. */
    readonly close: (
      edgeId: EdgeId,
      reason: "disconnected" | "revoked"
    ) => Effect.Effect<boolean, ProxyUnavailable>
    /** Calls back with each change, until the answer is called. */
    readonly watch: (onChange: (change: PresenceChange) => void) => () => void
    /** What keeps this from knowing anything: no proxy that is followed, or no list of them. */
    readonly missing: () => ReadonlyArray<{ readonly name: string; readonly reason: string }>
  }
>()("@edge-relay/domain/tunnels/Presence") {}
