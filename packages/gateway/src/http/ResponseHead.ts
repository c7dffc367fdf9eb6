import { answerHeaderKinds } from "./AnswerHeaders.ts"
import * as EdgesOwn from "./EdgesOwn.ts"
import { namedByConnection } from "./HeaderKinds.ts"
import { MalformedResponse } from "./MalformedResponse.ts"
import type { Place } from "./Place.ts"
import * as TransferCodings from "./TransferCodings.ts"

/**
 * The head of what an edge answers, read strictly: an edge is a stranger, and whatever two parsers could read
 * differently is refused (RFC 9112 §2.2, §5, §6.3).
 */
export interface ResponseHead {
  readonly status: number
  readonly message: string
  /** What goes to the browser, name and value in turns, in their order and spelling. */
  readonly headers: Array<string>
  readonly body: BodyLength
  /** Whether the connection can be asked again once the body has ended. */
  readonly keepAlive: boolean
  /** What the edge's server says of how long it keeps an idle connection. */
  readonly idleSeconds: number | undefined
  readonly upgrade: string | undefined
}

/** How the end of a body is known: bytes, chunks, or the connection's end. */
export type BodyLength = number | "chunked" | "close"

/** What is not in any line, CR without LF, and lines that go on in the next (obs-fold). */
// oxlint-disable-next-line no-control-regex -- to refuse them
const forbidden = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|\n[\t ]/

/** `text` is the head in Latin-1, from the status line to the last header's CRLF. */
export const parse = (text: string, method: string, place: Place): ResponseHead => {
  const kinds = answerHeaderKinds[place]
  const first = text.indexOf("\r\n")
  if (forbidden.test(text)) throw new MalformedResponse("a control character in a head")
  const status = statusOf(text, first)
  const http10 = text.charCodeAt(7) === 0x30

  const headers: Array<string> = []
  let length: number | undefined
  let transferEncoding: string | undefined
  let connection: string | undefined
  let keepAliveHeader: string | undefined
  let upgrade: string | undefined

  for (let start = first + 2; start < text.length;) {
    const end = text.indexOf("\r\n", start)
    const colon = text.indexOf(":", start)
    if (colon === -1 || colon > end) throw new MalformedResponse("a header without a colon")
    const name = text.slice(start, colon)
    const value = trimmed(text, colon + 1, end)
    start = end + 2
    switch (kinds.of(name)) {
      case "forward":
        headers.push(name, value)
        break
      case "cache-control":
        headers.push(name, unshared(value))
        break
      case "content-length":
        if (length !== undefined) throw new MalformedResponse("two Content-Length")
        length = lengthOf(value)
        // RFC 9110 §8.6: a length may stand in a head without a body, but not in these.
        if (status !== 204 && status >= 200) headers.push(name, String(length))
        break
      case "transfer-encoding":
        transferEncoding = transferEncoding === undefined ? value : `${transferEncoding}, ${value}`
        break
      case "connection":
        connection = connection === undefined ? value : `${connection}, ${value}`
        break
      case "keep-alive":
        keepAliveHeader = value
        break
      case "upgrade":
        upgrade = value
        break
      case "set-cookie": {
        const cookie = EdgesOwn.setCookie(value)
        if (cookie !== undefined) headers.push(name, cookie)
        break
      }
      case "strict-transport-security":
        headers.push(name, EdgesOwn.strictTransportSecurity(value))
        break
      case "clear-site-data":
        headers.push(name, EdgesOwn.clearSiteData(value))
        break
      case "malformed":
        throw new MalformedResponse("a header name that is not a token")
      case "drop":
        break
    }
  }
  const chunked = transferEncoding !== undefined
  if (transferEncoding !== undefined && transferEncoding !== "chunked") {
    addContentCodings(headers, TransferCodings.beforeChunked(transferEncoding), status)
  }
  if (chunked && length !== undefined) throw new MalformedResponse("Content-Length and Transfer-Encoding")
  if (chunked && http10) throw new MalformedResponse("a transfer coding in HTTP/1.0")

  const named = connection === undefined ? undefined : namedByConnection(connection)
  const close = connection === "close" || named?.has("close") === true
  const keepAlive = !close && (!http10 || connection === "keep-alive" || named?.has("keep-alive") === true)
  if (named !== undefined) removeNamed(headers, named)
  const idleSeconds =
    keepAliveHeader === undefined ? undefined : Number(/timeout=(\d{1,6})/.exec(keepAliveHeader)?.[1])
  const bodiless = method === "HEAD" || status === 304 || status === 204 || status < 200
  const body = bodiless ? 0 : chunked ? "chunked" : (length ?? "close")
  return {
    status,
    message: messageOf(text, first),
    headers,
    body,
    keepAlive: keepAlive && body !== "close",
    idleSeconds,
    upgrade
  }
}

/** RFC 9110 §15: there are five classes of status. */
const statusLine = /^HTTP\/1\.[01] [1-5]\d\d(?: |$)/

const statusOf = (text: string, end: number): number => {
  // A short slice: the reason may be long, and is not looked at.
  if (!statusLine.test(text.slice(0, Math.min(end, 13)))) throw new MalformedResponse("not a status line")
  return Number(text.slice(9, 12))
}

/** A reason is for people; a long one is cut. */
const messageOf = (text: string, end: number): string => text.slice(13, Math.min(end, 13 + 512))

/** Without the optional white space on both sides (RFC 9110 §5.5). */
const trimmed = (text: string, from: number, to: number): string => {
  let start = from
  let end = to
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

/** Without what lets a cache that many share keep it: it is for somebody signed in (RFC 9111 §5.2.2). */
const unshared = (value: string): string =>
  value
    .split(",")
    .map((directive) => directive.trim())
    .filter((directive) => !/^(?:public|s-maxage)\b/i.test(directive))
    .join(", ")

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09

const lengthOf = (value: string): number => {
  const length = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (!Number.isSafeInteger(length)) throw new MalformedResponse("a Content-Length that is not a number")
  return length
}

/**
 * A coding of the transfer that we never asked for (RFC 9110 §10.1.4) goes on as one of the content, outermost last
 * (§8.4): browsers decode that, and a load balancer in front does not know the other. Not of a part (206): its bytes
 * are those of the whole content's coding.
 */
const addContentCodings = (headers: Array<string>, codings: ReadonlyArray<string>, status: number): void => {
  if (codings.length === 0) return
  if (status === 206) throw new MalformedResponse("a part with a transfer coding")
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === "content-encoding")
  if (at === -1) headers.push("Content-Encoding", codings.join(", "))
  else headers[at + 1] = [headers[at + 1], ...codings].join(", ")
}

const removeNamed = (headers: Array<string>, named: ReadonlySet<string>): void => {
  const kept: Array<string> = []
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? ""
    if (!named.has(name.toLowerCase())) kept.push(name, headers[index + 1] ?? "")
  }
  headers.splice(0, headers.length, ...kept)
}
