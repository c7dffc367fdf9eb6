import { HeaderKinds, hopByHop } from "./HeaderKinds.ts"

/** What becomes of a request's header on its way to an edge, by its name. */
export type RequestHeaderKind =
  | "forward"
  | "drop"
  | "cookie"
  | "authorization"
  | "origin"
  | "sec-fetch-site"
  | "sec-fetch-mode"
  | "sec-fetch-dest"
  | "accept"
  | "content-length"
  | "transfer-encoding"
  | "connection"
  | "upgrade"
  | "x-request-id"
  | "traceparent"
  | "tracestate"
  | "host"

/** Headers that the gateway reads itself. */
const noted: ReadonlyMap<string, RequestHeaderKind> = new Map(
  (
    [
      "cookie",
      "authorization",
      "origin",
      "sec-fetch-site",
      "sec-fetch-mode",
      "sec-fetch-dest",
      "accept",
      "content-length",
      "transfer-encoding",
      "connection",
      "upgrade",
      "x-request-id",
      "traceparent",
      "tracestate",
      "host"
    ] as const
  ).map((name) => [name, name])
)

/** Headers that say who asks, from where, or for what: ours to say. A program behind takes them for the truth. */
const forged: ReadonlySet<string> = new Set([
  "cookie2",
  // Node has answered any but 100-continue, which is the gateway's to say again.
  "expect",
  "http2-settings",
  // It becomes a variable of CGI programs (httpoxy).
  "proxy",
  "via",
  "x-edge-user",
  // The client's address, as load balancers and content networks tell it.
  "forwarded",
  "x-forwarded",
  "forwarded-for",
  "x-real-ip",
  "x-client-ip",
  "client-ip",
  "true-client-ip",
  "x-cluster-client-ip",
  "cf-connecting-ip",
  "cf-connecting-ipv6",
  "cf-pseudo-ipv4",
  "fastly-client-ip",
  "fly-client-ip",
  "x-appengine-user-ip",
  "x-azure-clientip",
  "x-azure-socketip",
  "x-envoy-external-address",
  "x-original-forwarded-for",
  "x-original-host",
  "x-host",
  // Another path or method than the one that was checked.
  "x-original-url",
  "x-original-uri",
  "x-rewrite-url",
  "x-http-method",
  "x-http-method-override",
  "x-method-override"
])

export const requestHeaderKinds = new HeaderKinds<RequestHeaderKind>((name) => {
  const kind = noted.get(name)
  if (kind !== undefined) return kind
  // CGI and WSGI programs cannot tell `X_Edge_User` from `X-Edge-User`.
  const canonical = name.replaceAll("_", "-")
  const isForged = forged.has(canonical) || canonical.startsWith("x-forwarded-") || noted.has(canonical)
  return isForged || hopByHop.has(canonical) ? "drop" : "forward"
})
