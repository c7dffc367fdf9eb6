import * as EdgeHost from "@edge-relay/domain/edges/EdgeHost"
import type { IncomingMessage } from "node:http"
import type { GatewayRoute } from "../access/GatewayRoute.ts"

/** An edge's own host, as a request names it. */
export interface OwnHost {
  /** As browsers call it: with the port that `EDGE_DOMAIN` has. */
  readonly host: string
  readonly origin: string
}

/** A request on a host of an edge. `edgeId` is "" where the host is under `EDGE_DOMAIN` and no edge's. */
export interface HostRoute extends GatewayRoute {
  readonly service: string
  readonly own: OwnHost
}

/** What a request's `Host` says of the edge it is for; undefined for every host that is not under `edgeDomain`. */
export const parse = (
  edgeDomain: string,
  scheme: string,
  { rawHeaders, url = "/" }: IncomingMessage
): HostRoute | undefined => {
  const header = hostOf(rawHeaders)
  const named = header === undefined ? undefined : EdgeHost.parse(edgeDomain, header)
  if (named === undefined) return undefined
  const { edgeId, host, service } = named === "unknown" ? { ...nobody, host: edgeDomain } : named
  return { edgeId, service, target: url, prefix: "", own: { host, origin: `${scheme}//${host}` } }
}

const nobody = { edgeId: "", service: EdgeHost.defaultService }

/** Whether an origin is the host of a service of that edge. With its port: another port is another origin. */
export const isOfEdge = (edgeDomain: string, scheme: string, origin: string, edgeId: string): boolean => {
  if (!origin.startsWith(`${scheme}//`)) return false
  const host = origin.slice(scheme.length + 2)
  const named = EdgeHost.parse(edgeDomain, host)
  return typeof named === "object" && named.edgeId === edgeId && named.host === host
}

/** The first one: a request with two is refused later. */
const hostOf = (rawHeaders: ReadonlyArray<string>): string | undefined => {
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]
    if (name === "Host" || name === "host" || name?.toLowerCase() === "host") return rawHeaders[index + 1]
  }
  return undefined
}
