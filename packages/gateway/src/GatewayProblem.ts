import * as Problem from "@edge-relay/domain/api/Problem"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import type { ServerResponse } from "node:http"
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

export const send = (response: ServerResponse, problem: GatewayProblem, requestId: string): void => {
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
