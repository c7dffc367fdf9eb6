import * as EdgeHost from "@edge-relay/domain/edges/EdgeHost"
import { Option } from "effect"
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
  const { edgeId, service } = named === "unknown" ? { edgeId: "", service: EdgeHost.defaultService } : named
  const host = named === "unknown" ? edgeDomain : Option.getOrElse(EdgeHost.of(edgeDomain, named), () => "")
  return { edgeId, service, target: url, prefix: "", own: { host, origin: `${scheme}//${host}` } }
}

/** Whether an origin is another service's host of the same edge. */
export const isSibling = (edgeDomain: string, scheme: string, origin: string, edgeId: string): boolean => {
  if (!origin.startsWith(`${scheme}//`)) return false
  const host = origin.slice(scheme.length + 2)
  const named = EdgeHost.parse(edgeDomain, host)
  return (
    named !== undefined &&
    named !== "unknown" &&
    named.edgeId === edgeId &&
    // With its port: a page on another port is another origin.
    Option.contains(EdgeHost.of(edgeDomain, named), host.toLowerCase())
  )
}

/** The first one: a request with two is refused later. */
const hostOf = (rawHeaders: ReadonlyArray<string>): string | undefined => {
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]
    if (name === "Host" || name === "host" || name?.toLowerCase() === "host") return rawHeaders[index + 1]
  }
  return undefined
}
