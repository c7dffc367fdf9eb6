import type { EdgeSession, EdgeView } from "@edge-relay/domain/api/Edges"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import * as EdgeHost from "@edge-relay/domain/edges/EdgeHost"
import { Option } from "effect"
import type { Edge } from "@edge-relay/domain/edges/Edges"
import type { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import type { Presence } from "@edge-relay/domain/tunnels/Presence"

/** What browsers call us, and the domain of edges' hosts. */
export interface Addresses {
  readonly publicUrl: URL
  readonly edgeDomain: string | undefined
}

const urlOf = ({ edgeDomain, publicUrl }: Addresses, edgeId: EdgeId, service: string): string | null =>
  edgeDomain === undefined
    ? null
    : Option.match(EdgeHost.of(edgeDomain, { edgeId, service }), {
        onNone: () => null,
        onSome: (host) => `${publicUrl.protocol}//${host}/`
      })

/** An edge as the contract shows it: what is stored of it, and what its proxy says. */
export const make =
  (presence: Presence["Service"], addresses: Addresses) =>
  ({ id, name, labels, createdAt }: Edge): typeof EdgeView.Type => {
    const summary = presence.session(id)
    return {
      id,
      name,
      labels,
      createdAt,
      url: urlOf(addresses, id, EdgeHost.defaultService),
      online: summary !== undefined,
      contended: presence.isContended(id),
      session: summary === undefined ? null : session(addresses, summary)
    }
  }

/** Without what is the cluster's own business: tenant, token. */
export const session = (addresses: Addresses, summary: SessionSummary): typeof EdgeSession.Type => ({
  connectedAt: summary.connectedAt,
  lastHeartbeatAt: summary.lastHeartbeatAt,
  protocol: summary.protocol,
  agent: summary.agent,
  hostname: summary.hostname,
  services: summary.services.map((name) => {
    const local = summary.localServers?.[name]
    const isHttp = local !== undefined || name === EdgeHost.defaultService
    return {
      name,
      url: isHttp ? urlOf(addresses, summary.edgeId, name) : null,
      hostHeader: local?.hostHeader ?? null
    }
  }),
  remoteAddress: summary.remoteAddress,
  roundTripMillis: summary.roundTripMillis,
  streams: summary.streams,
  bytesIn: summary.bytesIn,
  bytesOut: summary.bytesOut,
  proxyId: summary.proxyId
})
