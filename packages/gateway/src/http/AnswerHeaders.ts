import { HeaderKinds, hopByHop } from "./HeaderKinds.ts"
import type { Place } from "./Place.ts"

/** What becomes of an answer's header on its way to the browser, by its name. */
export type AnswerHeaderKind =
  | "forward"
  | "drop"
  | "malformed"
  | "cache-control"
  | "content-length"
  | "transfer-encoding"
  | "connection"
  | "keep-alive"
  | "upgrade"
  | "set-cookie"
  | "strict-transport-security"
  | "clear-site-data"

const noted: ReadonlyMap<string, AnswerHeaderKind> = new Map(
  (
    ["cache-control", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade"] as const
  ).map((name) => [name, name])
)

/** Rewritten on an edge's own host. */
const ofHost: ReadonlyMap<string, AnswerHeaderKind> = new Map(
  (["set-cookie", "strict-transport-security", "clear-site-data"] as const).map((name) => [name, name])
)

/**
 * What an edge may say on our origin, where it is a guest: what describes this one answer. Whatever speaks for the
 * origin, asks the person for a password, starts reports, or is new to us, stays out.
 */
const allowed: ReadonlySet<string> = new Set([
  // The representation, its parts and its encoding (RFC 9110 §8, §14).
  "content-type",
  "content-encoding",
  "content-language",
  "content-location",
  "content-range",
  "content-disposition",
  "accept-ranges",
  "content-digest",
  "repr-digest",
  "digest",
  "content-md5",
  // Its validators and its age (RFC 9110 §8.8, RFC 9111 §5).
  "etag",
  "last-modified",
  "date",
  "age",
  "expires",
  "pragma",
  "vary",
  // What to ask next (RFC 9110 §10.2). A redirect that would repeat an unsafe method is looked at apart.
  "location",
  "allow",
  // What belongs to it: names, not rights (RFC 8288, RFC 8297).
  "link",
  "retry-after",
  "accept-patch",
  "accept-post",
  "preference-applied",
  // What the program is, and how long it took.
  "server",
  "server-timing",
  // A WebSocket's handshake (RFC 6455 §4.2.2).
  "sec-websocket-accept",
  "sec-websocket-protocol",
  "sec-websocket-extensions",
  "sec-websocket-version",
  // These only take rights from the page that they come with. Two policies hold both (CSP 3 §8.1).
  "content-security-policy",
  "referrer-policy",
  "permissions-policy",
  "cross-origin-opener-policy",
  "cross-origin-embedder-policy",
  "cross-origin-resource-policy",
  // How calls ended, where the answer has no body (gRPC over HTTP/2, which is passed on as headers).
  "grpc-status",
  "grpc-message",
  // Tools of developers.
  "sourcemap"
])

/** What servers in front of us obey: it is about our machine, on every host. */
const ofServersInFront =
  /^x-(?:accel-|sendfile$|lighttpd-send-file$|litespeed-|reproxy-url$)|cdn-cache-control$/

/** Headers of programs' own begin with `X-`: on our origin all may pass, but those that browsers obey. */
const obeyedByBrowsers =
  /^x-(?:content-type-options|permitted-cross-domain-policies|dns-prefetch-control|webkit-csp|content-security-policy|xss-protection|robots-tag)$/

/** About the connection or the caches between the browser and us, or said by us: no edge's, on every host. */
const ours: ReadonlySet<string> = new Set([
  "alt-svc",
  "surrogate-control",
  "surrogate-key",
  "public-key-pins",
  "public-key-pins-report-only",
  "expect-ct",
  "x-request-id",
  "x-edge-user",
  // A credential bound to the connection or the site: the next one on it may be another person's.
  "secure-session-registration",
  "secure-session-challenge",
  "sec-session-registration",
  "sec-session-challenge",
  "set-cookie2"
])

const token = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/

const kindsAt = (place: Place) =>
  new HeaderKinds<AnswerHeaderKind>((name) => {
    if (!token.test(name)) return "malformed"
    const kind = noted.get(name) ?? (place === "edge-host" ? ofHost.get(name) : undefined)
    if (kind !== undefined) return kind
    if (hopByHop.has(name) || ours.has(name) || ofServersInFront.test(name)) return "drop"
    if (place === "edge-host") return "forward"
    return allowed.has(name) || (name.startsWith("x-") && !obeyedByBrowsers.test(name)) ? "forward" : "drop"
  })

/** By the place: on an edge's own host nearly everything passes. */
export const answerHeaderKinds: { readonly [place in Place]: HeaderKinds<AnswerHeaderKind> } = {
  "our-origin": kindsAt("our-origin"),
  "edge-host": kindsAt("edge-host")
}
