import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"

/**
 * Which requests the gateway forwards, and as what. Targets are taken as they came, byte for byte: nothing is
 * decoded or normalised, so that what is checked here is what the edge sees.
 */
export interface GatewayRoute {
  /** As it stands in the target: it need not be an edge's id at all. */
  readonly edgeId: string
  /** Path and query for the edge. */
  readonly target: string
  /** What was taken off: `X-Forwarded-Prefix`. */
  readonly prefix: string
  /** The service, where a byte stream to it is asked for and not HTTP. */
  readonly stream?: string
}

const base = "/api/edges/"

export const parse = (method: string, url: string): GatewayRoute | undefined => {
  if (!url.startsWith(base)) return undefined
  const afterId = url.indexOf("/", base.length)
  if (afterId === -1) return undefined
  if (url.startsWith("/http", afterId)) {
    const end = afterId + 5
    const next = url[end]
    if (next === "/") return route(url, afterId, end, url.slice(end))
    if (next === undefined || next === "?") return route(url, afterId, end, `/${url.slice(end)}`)
  }
  const [, stream] = /^\/services\/([^/?]+)\/stream(?:\?|$)/.exec(url.slice(afterId)) ?? []
  if (stream !== undefined && method === "GET") {
    return { ...route(url, afterId, afterId, url.slice(afterId)), stream }
  }
  return isEdgeApi(method, url, afterId) ? route(url, afterId, afterId, url.slice(afterId)) : undefined
}

const route = (url: string, afterId: number, end: number, target: string): GatewayRoute => ({
  edgeId: url.slice(base.length, afterId),
  target,
  prefix: url.slice(0, end)
})

/** One pattern for each method of the edge API: `/devices/:deviceId` is `/devices/[^/?]+`. */
const patterns: ReadonlyMap<string, RegExp> = new Map(
  Array.from(
    Map.groupBy(
      Object.values(EdgeApi.groups).flatMap((group) => Object.values(group.endpoints)),
      ({ method }) => String(method)
    ),
    ([method, endpoints]) => [
      method,
      new RegExp(
        `^(?:${endpoints.map(({ path }) => path.replaceAll(/:[A-Za-z]+/g, "[^/?]+")).join("|")})(?:\\?|$)`
      )
    ]
  )
)

/** Where there is GET there is HEAD (RFC 9110 §9.3.2). */
const isEdgeApi = (method: string, url: string, start: number): boolean =>
  patterns.get(method === "HEAD" ? "GET" : method)?.test(url.slice(start)) === true
