import type { EdgeSession, EdgeView } from "@edge-relay/domain/api/Edges"
import type { Edge } from "@edge-relay/domain/edges/Edges"
import type { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import type { Presence } from "@edge-relay/domain/tunnels/Presence"

/** An edge as the contract shows it: what is stored of it, and what its proxy says. */
export const make =
  (presence: Presence["Service"]) =>
  ({ id, name, labels, createdAt }: Edge): typeof EdgeView.Type => {
    const summary = presence.session(id)
    return {
      id,
      name,
      labels,
      createdAt,
      online: summary !== undefined,
      contended: presence.isContended(id),
      session: summary === undefined ? null : session(summary)
    }
  }

/** Without what is the cluster's own business: tenant, token. */
export const session = (summary: SessionSummary): typeof EdgeSession.Type => ({
  connectedAt: summary.connectedAt,
  lastHeartbeatAt: summary.lastHeartbeatAt,
  protocol: summary.protocol,
  agent: summary.agent,
  hostname: summary.hostname,
  remoteAddress: summary.remoteAddress,
  roundTripMillis: summary.roundTripMillis,
  streams: summary.streams,
  bytesIn: summary.bytesIn,
  bytesOut: summary.bytesOut,
  proxyId: summary.proxyId
})
