import { Schema } from "effect"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { TokenId } from "@edge-relay/domain/ids/TokenId"
import { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"

/** What a proxy tells of its tunnels, to whoever follows them: what is the case, then each change. */
export const TunnelEvent = Schema.Union([
  /** The state that the events after it change. Always the first. */
  Schema.Struct({
    type: Schema.Literal("snapshot"),
    sessions: Schema.Array(SessionSummary),
    contended: Schema.Array(EdgeId),
    draining: Schema.Boolean
  }),
  Schema.Struct({ type: Schema.Literal("online"), session: SessionSummary }),
  Schema.Struct({ type: Schema.Literal("offline"), edgeId: EdgeId, tenantId: TenantId }),
  /** Two machines fight for one token of the edge; or, with `contended` false, no longer do. */
  Schema.Struct({
    type: Schema.Literal("contended"),
    edgeId: EdgeId,
    tenantId: TenantId,
    tokenId: TokenId,
    contended: Schema.Boolean
  }),
  /** The proxy is going. Open streams go on for a while; new ones had better be opened elsewhere. */
  Schema.Struct({ type: Schema.Literal("draining") })
])
export type TunnelEvent = typeof TunnelEvent.Type
