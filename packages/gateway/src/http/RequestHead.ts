import * as Bearer from "@edge-relay/auth/tokens/Bearer"
import { namedByConnection } from "./HeaderKinds.ts"
import { isOwnCookie, type Place } from "./Place.ts"
import { requestHeaderKinds } from "./RequestHeaders.ts"
import * as RequestTarget from "./RequestTarget.ts"

/**
 * What the gateway takes from a browser's headers, and what of them it sends on: order, doubles and spelling are
 * kept; whatever is between us and the browser, or could be forged, is not.
 */
export interface RequestHead {
  readonly cookie: string | undefined
  /** A token of ours, good or not: it goes no further. */
  readonly token: string | undefined
  readonly origin: string | undefined
  readonly secFetchSite: string | undefined
  readonly secFetchMode: string | undefined
  readonly secFetchDest: string | undefined
  readonly accept: string | undefined
  readonly requestId: string | undefined
  /** The protocols of `Upgrade`, as they came. */
  readonly upgrade: string | undefined
  /** Which trace the request is part of (W3C Trace Context); undefined where requests are not traced. */
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
  readonly body: "none" | "length" | "chunked"
  /** The header lines to send on, each with its CRLF, `Content-Length` among them. */
  readonly lines: string
}

/** Why a request is refused: two parsers could read it differently (RFC 9112 §6.3, §11.2). */
export interface Malformed {
  readonly malformed: string
}

/**
 * Node's parser has refused most of what is malformed before: these are the shapes that it lets through.
 * Of a request that is traced, the trace's headers are not among the lines: they are ours to write anew.
 */
export const read = (
  rawHeaders: ReadonlyArray<string>,
  httpVersion: string,
  place: Place,
  isTraced = false,
  /** The token of ours in an `Authorization` header. */
  tokenOf: (authorization: string) => string | undefined = Bearer.tokenOf
): RequestHead | Malformed => {
  let cookie: string | undefined
  let token: string | undefined
  let origin: string | undefined
  let secFetchSite: string | undefined
  let secFetchMode: string | undefined
  let secFetchDest: string | undefined
  let accept: string | undefined
  let requestId: string | undefined
  let upgrade: string | undefined
  let connection: string | undefined
  let traceparent: string | undefined
  let tracestate: string | undefined
  let body: RequestHead["body"] = "none"
  let hosts = 0
  let lines = ""
  const kinds = requestHeaderKinds
  if (httpVersion !== "1.1" && httpVersion !== "1.0")
    return { malformed: "an HTTP version that is not 1.1 or 1.0" }

  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ""
    const value = rawHeaders[index + 1] ?? ""
    switch (kinds.of(name)) {
      case "forward":
        lines += `${name}: ${value}\r\n`
        break
      case "cookie":
        cookie = cookie === undefined ? value : `${cookie}; ${value}`
        break
      case "authorization": {
        const sent = tokenOf(value)
        // On our origin it could be a credential for us; on its own host the edge signs its own users in.
        if (sent === undefined && place === "edge-host") lines += `${name}: ${value}\r\n`
        // Two of them are none that is good.
        if (sent !== undefined) token = token === undefined ? sent : ""
        break
      }
      case "origin":
        // Two of them are compared as one that is not ours.
        origin = origin === undefined ? value : `${origin}, ${value}`
        lines += `${name}: ${value}\r\n`
        break
      case "sec-fetch-site":
        secFetchSite = secFetchSite === undefined ? value : `${secFetchSite}, ${value}`
        lines += `${name}: ${value}\r\n`
        break
      case "sec-fetch-mode":
        secFetchMode = value
        lines += `${name}: ${value}\r\n`
        break
      case "sec-fetch-dest":
        secFetchDest = value
        lines += `${name}: ${value}\r\n`
        break
      case "accept":
        accept = accept === undefined ? value : `${accept}, ${value}`
        lines += `${name}: ${value}\r\n`
        break
      case "content-length":
        if (body !== "none") return { malformed: "the length of the body is said twice" }
        body = "length"
        // A server in C may take "010" for eight.
        lines += `${name}: ${value.replace(/^0+(?=\d)/, "")}\r\n`
        break
      case "transfer-encoding":
        if (body !== "none") return { malformed: "the length of the body is said twice" }
        if (value.toLowerCase() !== "chunked") return { malformed: "the transfer coding is not chunked" }
        if (httpVersion !== "1.1") return { malformed: "a transfer coding in HTTP/1.0" }
        body = "chunked"
        break
      case "connection":
        connection = connection === undefined ? value : `${connection}, ${value}`
        break
      case "upgrade":
        upgrade = upgrade === undefined ? value : `${upgrade}, ${value}`
        break
      case "x-request-id":
        // Two of them are none.
        requestId = requestId === undefined ? value : ""
        break
      case "traceparent":
        // Two of them are none, as `1,2` is not one.
        if (isTraced) traceparent = traceparent === undefined ? value : `${traceparent},${value}`
        else lines += `${name}: ${value}\r\n`
        break
      case "tracestate":
        if (isTraced) tracestate = tracestate === undefined ? value : `${tracestate},${value}`
        else lines += `${name}: ${value}\r\n`
        break
      case "host":
        if (++hosts > 1) return { malformed: RequestTarget.twoHosts }
        if (!RequestTarget.isHost(value)) return { malformed: RequestTarget.malformedHost }
        break
      case "drop":
        break
    }
  }
  if (hosts === 0 && httpVersion === "1.1") return { malformed: RequestTarget.noHost }
  const named = connection === undefined ? undefined : namedByConnection(connection)
  if (named !== undefined) lines = without(lines, named)
  // On our origin cookies are ours, our neighbours' and our parent's: an edge gets none of them.
  const cookies = cookie === undefined || place === "our-origin" ? "" : edgesCookies(cookie)
  if (cookies !== "" && named?.has("cookie") !== true) lines += `Cookie: ${cookies}\r\n`
  return {
    cookie,
    token,
    origin,
    secFetchSite,
    secFetchMode,
    secFetchDest,
    accept,
    requestId,
    upgrade,
    traceparent,
    tracestate,
    body,
    lines
  }
}

/** The rare case that `Connection` names headers: they are for us alone. Never the body's length, which we keep. */
const without = (lines: string, names: ReadonlySet<string>): string =>
  lines
    .split("\r\n")
    .filter((line) => {
      const name = line.slice(0, line.indexOf(":")).toLowerCase()
      return name === "content-length" || !names.has(name)
    })
    .join("\r\n")

/** A `Cookie` header without our own, which edges' hosts have beside the edge's. */
const edgesCookies = (header: string): string =>
  header
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair !== "" && !isOwnCookie(pair.split("=", 1)[0]?.trim() ?? ""))
    .join("; ")
