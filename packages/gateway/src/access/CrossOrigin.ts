import { isCrossSite, isForeignOrigin } from "@edge-relay/auth/session/CrossSite"
import * as Problem from "@edge-relay/domain/api/Problem"
import { isSafeMethod } from "@edge-relay/domain/api/SafeMethod"
import type { IncomingMessage } from "node:http"
import * as HostRoute from "../hosts/HostRoute.ts"
import type { RequestHead } from "../http/RequestHead.ts"

/** What the rules look at. */
export interface Sent {
  readonly request: IncomingMessage
  readonly method: string
  readonly head: RequestHead
  readonly route: { readonly edgeId: string }
  readonly own: HostRoute.OwnHost | undefined
  /** Set for a request that asks for another protocol: no CORS guards a WebSocket. */
  readonly upgraded: object | undefined
}

export interface CrossOrigin {
  /**
   * Refuses what another site's page may not ask for: to change something, or to open a WebSocket. Browsers take the
   * hosts of two edges for one site, so on an edge's host all but that edge's own services are strangers.
   */
  readonly refusal: (sent: Sent) => Problem.CrossSite | undefined
  /**
   * A preflight from another service of the same edge. It carries no credentials (Fetch standard, CORS-preflight
   * fetch), so the edge answers it without a session.
   */
  readonly isPreflight: (sent: Sent) => boolean
}

export const make = (publicUrl: URL, edgeDomain: string | undefined): CrossOrigin => {
  const isOfSameEdge = (edgeId: string, origin: string): boolean =>
    edgeDomain !== undefined && HostRoute.isOfEdge(edgeDomain, publicUrl.protocol, origin, edgeId)

  const isForeign = ({ head, method, own, route, upgraded }: Sent): boolean => {
    const headers = { "sec-fetch-site": head.secFetchSite, origin: head.origin }
    if (own === undefined) {
      return (
        isCrossSite(method, headers, publicUrl) ||
        (upgraded !== undefined && isForeignOrigin(headers, publicUrl))
      )
    }
    if (isSafeMethod(method) && upgraded === undefined) return false
    if (head.origin !== undefined && isOfSameEdge(route.edgeId, head.origin)) return false
    const site = head.secFetchSite
    const isFromElsewhere = site !== undefined && site !== "same-origin" && site !== "none"
    return isFromElsewhere || (head.origin !== undefined && head.origin !== own.origin)
  }

  return {
    refusal: (sent) =>
      isForeign(sent)
        ? new Problem.CrossSite({ detail: "Another site's page may not do this with your session." })
        : undefined,

    isPreflight: ({ head, method, own, request, route }) =>
      own !== undefined &&
      method === "OPTIONS" &&
      head.body === "none" &&
      head.origin !== undefined &&
      isOfSameEdge(route.edgeId, head.origin) &&
      request.headers["access-control-request-method"] !== undefined
  }
}
