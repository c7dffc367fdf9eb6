import * as Problem from "@edge-relay/domain/api/Problem"
import { STREAM_UPGRADE } from "@edge-relay/protocol/ServiceStream"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Cause, Effect, Option } from "effect"
import type { ServerResponse } from "node:http"
import * as GatewayPage from "./GatewayPage.ts"
import type { DialFailure } from "./pool/EdgePool.ts"

/** What the gateway answers itself: always a problem (RFC 9457), never in an edge's name. */
export interface GatewayProblem {
  readonly status: number
  readonly title: string
  readonly code: string
  readonly detail?: string | undefined
}

/** Seconds after which it may be worth another try: an agent that lost its tunnel is back within them. */
const retryAfter: { readonly [code: string]: string } = {
  edge_offline: "5",
  edge_busy: "1",
  unavailable: "5",
  storage_unavailable: String(StorageUnavailable.retryAfterSeconds)
}

/** RFC 9110 §15.5.6: with 405. An edge decides of each what it has. */
const forwardedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

/** What a person can do about it. All others say so in their `detail`. */
const advice: { readonly [code: string]: string } = {
  edge_offline:
    "The machine is off, or has lost its network. This page comes back by itself when the machine does.",
  edge_refused:
    "The machine is online, but the program on it does not answer. Start it; this page comes back by itself.",
  edge_reset: "The program on the machine broke off. This page tries again by itself.",
  edge_timeout: "The program on the machine did not answer in time. Load the page again.",
  edge_busy: "Too much is under way to this machine. This page tries again by itself.",
  edge_not_found: "It was removed, or it belongs to somebody else.",
  unauthorized: "You are not signed in.",
  cross_site: "Another site's page asked for this, and may not."
}

const challenges: { readonly [code: string]: string } = {
  unauthorized: "Bearer",
  insufficient_scope: 'Bearer error="insufficient_scope"'
}

/** Problems that may be over soon: the page asks again by itself. */
const passing = new Set([
  "edge_offline",
  "edge_refused",
  "edge_reset",
  "edge_busy",
  "unavailable",
  "storage_unavailable"
])
const refreshSeconds = 5

/** `asPage`: a person reads it, rather than a program. `cookies`: `Set-Cookie` values that go with it. */
export const send = (
  response: ServerResponse,
  problem: GatewayProblem,
  requestId: string,
  asPage = false,
  cookies: ReadonlyArray<string> = []
): void => {
  if (asPage) {
    const wait = retryAfter[problem.code]
    return GatewayPage.send(response, {
      status: problem.status,
      title: problem.title,
      text: advice[problem.code] ?? problem.detail ?? "",
      requestId,
      cookies,
      ...(wait === undefined ? {} : { headers: ["Retry-After", wait] }),
      ...(passing.has(problem.code) ? { refreshSeconds } : {})
    })
  }
  const body = JSON.stringify({
    type: "about:blank",
    title: problem.title,
    status: problem.status,
    code: problem.code,
    detail: problem.detail,
    requestId
  })
  const headers = [
    "Content-Type",
    "application/problem+json",
    "Content-Length",
    String(Buffer.byteLength(body)),
    "Cache-Control",
    "no-store",
    "X-Request-Id",
    requestId
  ]
  for (const cookie of cookies) headers.push("Set-Cookie", cookie)
  // RFC 6750 §3: to a browser it says nothing that it acts upon.
  const challenge = challenges[problem.code]
  if (challenge !== undefined) headers.push("WWW-Authenticate", challenge)
  // RFC 9110 §15.5.22.
  if (problem.code === "upgrade_required")
    headers.push("Upgrade", `${STREAM_UPGRADE}, websocket`, "Connection", "Upgrade")
  if (problem.code === "method_not_allowed") headers.push("Allow", forwardedMethods)
  const after = retryAfter[problem.code]
  if (after !== undefined) headers.push("Retry-After", after)
  // Two parsers may disagree about what follows on such a connection, or it is not worth to be kept waiting for.
  if (problem.code === "bad_message" || problem.code === "request_timeout")
    headers.push("Connection", "close")
  response.writeHead(problem.status, headers)
  response.end(body)
}

/** Why no stream was opened. What a proxy said of itself is for our log, not for the browser. */
export const ofDialFailure = (failure: DialFailure): GatewayProblem => {
  switch (failure._tag) {
    case "EdgeOffline":
      return new Problem.EdgeOffline({ detail: "The edge has no tunnel open." })
    case "EdgeBusy":
      return new Problem.EdgeBusy({
        detail: `The edge has as many streams open as it will: ${failure.detail}.`
      })
    case "EdgeRefused":
      return new Problem.EdgeRefused({ detail: `The edge's local server did not take the connection.` })
    case "EdgeReset":
      return new Problem.EdgeReset({ detail: "The edge broke the stream off." })
    case "EdgeTimeout":
      return new Problem.EdgeTimeout({ detail: "The edge did not connect to its local server in time." })
    case "ProxyUnavailable":
      return new Problem.Unavailable({ detail: "The proxy that holds the edge's tunnel does not answer." })
    case "Died":
      return new Problem.InternalError({})
  }
}

/** Why a request could not be checked or forwarded: the database, our own end, or a bug of ours. */
export const ofCause = (cause: Cause.Cause<unknown>): GatewayProblem => {
  if (Option.exists(Cause.findErrorOption(cause), isStorageUnavailable)) {
    return new Problem.StorageUnavailable({ detail: "It could not be looked up who may ask." })
  }
  if (Cause.hasInterruptsOnly(cause)) return new Problem.Unavailable({ detail: "The server is stopping." })
  return new Problem.InternalError({})
}

/** Tells the operator of the same. */
export const log = (cause: Cause.Cause<unknown>, request: Readonly<Record<string, string>>) =>
  (Cause.hasDies(cause)
    ? Effect.logError("a forwarded request met a defect", cause)
    : Effect.logWarning("a forwarded request could not be checked", cause)
  ).pipe(Effect.annotateLogs(request))

const isStorageUnavailable = (error: unknown): boolean => error instanceof StorageUnavailable
