import { isSafeMethod } from "@edge-relay/domain/api/SafeMethod"
import * as GatewayRoute from "../access/GatewayRoute.ts"

/**
 * An edge's redirect that makes a browser repeat an unsafe request, method and body, elsewhere on our origin: what
 * arrives there is a request of our own page, with the session, that no cross-site rule tells from one that was
 * meant. Such a redirect leads to the edge itself or, without its `Location`, nowhere.
 */
export const withoutStrayLocation = (
  headers: Array<string>,
  status: number,
  method: string,
  url: string
): Array<string> => {
  if (!isRepeated(status, method)) return headers
  const kept: Array<string> = []
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? ""
    const value = headers[index + 1] ?? ""
    if (name.toLowerCase() !== "location" || staysAtEdge(value, method, url)) kept.push(name, value)
  }
  return kept
}

/** Fetch standard §4.5, HTTP-redirect fetch: after 303, and after 301 or 302 to POST, it is GET. */
const isRepeated = (status: number, method: string): boolean =>
  !isSafeMethod(method) &&
  (status === 307 || status === 308 || ((status === 301 || status === 302) && method !== "POST"))

/** In the place of our origin: a redirect by a whole URL leads away, wherever it leads. */
const here = "http://here.invalid"

const staysAtEdge = (location: string, method: string, url: string): boolean => {
  const base = URL.parse(url, here)
  const to = base === null ? null : URL.parse(location, base)
  if (to === null || to.origin !== here) return false
  const route = GatewayRoute.parse(method, to.pathname + to.search)
  return route !== undefined && route.edgeId === GatewayRoute.parse(method, url)?.edgeId
}
