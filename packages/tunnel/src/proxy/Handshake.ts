import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { Data, Redacted } from "effect"
import {
  isSubprotocol,
  type ProtocolVersion,
  type Subprotocol,
  subprotocols,
  TUNNEL_PATH
} from "@edge-relay/protocol/TunnelProtocol"

/**
 * What a request to open a tunnel asks for, and how it is turned down: with an HTTP answer, before anything is
 * upgraded. Nothing here repeats the token, whether it came in a header or in the query.
 */

/** An answer in place of the upgrade: RFC 9457, with a `code` for programs. */
export class HandshakeRefused extends Data.TaggedError("HandshakeRefused")<{
  readonly status: 400 | 401 | 404 | 426 | 429 | 503
  readonly code: string
  readonly detail: string
  readonly retryAfterMillis?: number
}> {}

export interface Offer {
  readonly token: Redacted.Redacted<string>
  readonly protocol: ProtocolVersion
  /** To be named in the answer; a client that offered none gets none. */
  readonly subprotocol: Subprotocol | undefined
}

export const readOffer = (
  request: IncomingMessage,
  options: { readonly acceptQueryToken: boolean }
): Offer | HandshakeRefused => {
  const url = URL.parse(request.url ?? "", "http://proxy")
  if (url?.pathname !== TUNNEL_PATH) {
    return new HandshakeRefused({ status: 404, code: "not_found", detail: `tunnels open at ${TUNNEL_PATH}` })
  }
  if (request.headers.upgrade?.toLowerCase() !== "websocket") {
    return upgradeRequired()
  }
  const offered = (request.headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "")
  const subprotocol = firstKnown(offered)
  if (subprotocol === undefined && offered.length > 0) {
    const detail = `subprotocols here: ${Object.keys(subprotocols).join(", ")}`
    return new HandshakeRefused({ status: 400, code: "unknown_subprotocol", detail })
  }
  const token =
    /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "")?.[1] ??
    (options.acceptQueryToken ? url.searchParams.get("token") : null)
  if (token === null || token === "") return unauthorized()
  return {
    token: Redacted.make(token),
    protocol: subprotocol === undefined ? "v1" : subprotocols[subprotocol],
    subprotocol
  }
}

/** The client's order is its preference (RFC 6455 §4.1). */
export const firstKnown = (offered: Iterable<string>): Subprotocol | undefined =>
  Array.from(offered).find(isSubprotocol)

export const upgradeRequired = () =>
  new HandshakeRefused({ status: 426, code: "upgrade_required", detail: "tunnels are WebSockets" })

export const unauthorized = () =>
  new HandshakeRefused({
    status: 401,
    code: "unauthorized",
    detail: "missing, unknown or revoked session token"
  })

/** What `ws` does not take for a WebSocket's handshake; its messages repeat nothing of the request. */
export const badHandshake = ({ message }: Error) =>
  message.includes("Sec-WebSocket-Version")
    ? new HandshakeRefused({
        status: 426,
        code: "upgrade_required",
        detail: "WebSockets here are version 13"
      })
    : new HandshakeRefused({ status: 400, code: "bad_handshake", detail: message })

/** Answers an upgrade and closes. Whatever else the client sends is not read. */
export const refuse = (socket: Duplex, refusal: HandshakeRefused): void => {
  const { status, headers, body } = render(refusal)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  ]
  socket.once("finish", () => socket.destroy())
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`)
}

/** The same for a request that asked for no upgrade. */
export const answer = (response: ServerResponse, refusal: HandshakeRefused): void => {
  const { status, headers, body } = render(refusal)
  response.writeHead(status, headers).end(body)
}

const render = ({ status, code, detail, retryAfterMillis }: HandshakeRefused) => {
  const body = JSON.stringify({ type: "about:blank", title: STATUS_CODES[status], status, code, detail })
  const headers = {
    Connection: "close",
    "Content-Type": "application/problem+json",
    "Content-Length": Buffer.byteLength(body),
    ...(status === 401 && { "WWW-Authenticate": "Bearer" }),
    // RFC 6455 §4.4: and in which version.
    ...(status === 426 && { Upgrade: "websocket", "Sec-WebSocket-Version": 13 }),
    ...(retryAfterMillis !== undefined && { "Retry-After": Math.max(1, Math.ceil(retryAfterMillis / 1000)) })
  }
  return { status, headers, body }
}
