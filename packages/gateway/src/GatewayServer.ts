import * as Problem from "@edge-relay/domain/api/Problem"
import { headCheckMillis } from "@edge-relay/server-kit/Listening"
import { randomUUID } from "node:crypto"
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse
} from "node:http"
import type { Duplex } from "node:stream"
import type { Gateway } from "./Gateway.ts"
import { isDiscarding } from "./http/DiscardBody.ts"
import type { GatewayProblem } from "./GatewayProblem.ts"
import { inTurn } from "./http/Pipeline.ts"
import * as RequestTarget from "./http/RequestTarget.ts"

/** The `http.Server` that the gateway is behind, and how that refuses what its parser refuses. */

/** Answers what is not for an edge. `expectation`: what `Expect` asked for; `continue` is 100-continue (RFC 9110 §10.1.1). */
export type Router = (
  request: IncomingMessage,
  response: ServerResponse,
  expectation: "none" | "continue" | "unknown"
) => void

/**
 * A server whose requests the gateway sees first, and the router then. The gateway looks at raw headers only: what is
 * set or read through Node's objects of headers costs a quarter of a small request, and loses order and spelling.
 */
export const create = (
  gateway: Gateway["Service"],
  router: Router,
  options: Pick<ServerOptions, "headersTimeout"> = {}
): Server => {
  const server = createServer({
    ...serverOptions,
    ...options,
    // An offer that only the gateway takes up; elsewhere the request is answered as it stands.
    shouldUpgradeCallback: (request) => {
      RequestTarget.toOriginForm(request)
      return mayUpgrade(request) && gateway.isFor(request)
    }
  })
  const answer =
    (expectation: "none" | "continue") =>
    (request: IncomingMessage, response: ServerResponse): void => {
      RequestTarget.toOriginForm(request)
      const expectsContinue = expectation === "continue"
      if (!gateway.handle(request, response, { expectsContinue })) router(request, response, expectation)
    }
  const answerPlain = answer("none")
  const answerExpecting = answer("continue")
  server.on("request", (request, response) => inTurn(request, response, answerPlain))
  server.on("checkContinue", (request, response) => inTurn(request, response, answerExpecting))
  server.on("checkExpectation", (request, response) => router(request, response, "unknown"))
  server.on("upgrade", (request, socket, head) => {
    if (!gateway.upgrade(request, socket, head)) socket.destroy()
  })
  server.on("connect", onConnect)
  server.on("clientError", onClientError)
  return server
}

const serverOptions: ServerOptions = {
  /** 60 KiB of headers pass; a browser's first line and our own come on top. */
  maxHeaderSize: 80 * 1024,
  insecureHTTPParser: false,
  /** Refused all the same, with a problem. */
  requireHostHeader: false,
  /** An upload of 2 GiB takes as long as it takes; heads have 30 s. */
  requestTimeout: 0,
  headersTimeout: 30_000,
  connectionsCheckingInterval: headCheckMillis,
  /** Longer than the 60 s of common load balancers, which would else ask on a connection that we close. */
  keepAliveTimeout: 65_000,
  noDelay: true,
  /** A browser that is gone without a word is noticed, though nothing is to be said to it: an idle event stream's. */
  keepAlive: true,
  keepAliveInitialDelay: 60_000
}

/**
 * `Upgrade` is an offer: with a body, in HTTP/1.0 (RFC 9110 §7.8), or to what carries HTTP itself, the request is
 * answered as if it were not there.
 */
const mayUpgrade = ({ headers, httpVersion }: IncomingMessage): boolean =>
  httpVersion === "1.1" &&
  headers["content-length"] === undefined &&
  headers["transfer-encoding"] === undefined &&
  !carriesHttp.test(headers.upgrade ?? "")

/** Requests inside would come to the edge past all that is checked and said here, `X-Edge-User` above all. */
const carriesHttp = /(?:^|,)[\t ]*(?:h2c?|h3|http|tls)[\t ]*(?:[,/]|$)/i

const answers: { readonly [code: string]: readonly [reason: string, problem: GatewayProblem] } = {
  HPE_HEADER_OVERFLOW: [
    "Request Header Fields Too Large",
    { ...plain(new Problem.BadMessage({})), status: 431 }
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ["Request Timeout", plain(new Problem.RequestTimeout({}))]
}

function plain({ status, title, code }: GatewayProblem): GatewayProblem {
  return { status, title, code }
}

/**
 * Listener of `clientError`: a message that the parser refuses is answered once, and its connection closed. Its head
 * may have been good enough to be answered by whom it was for: two answers to one request would be taken for two.
 */
const onClientError = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy()
  const answer = answerOf(socket)
  if (answer?.headersSent === true && !answer.writableEnded) return void socket.destroy()
  if (answer?.headersSent === true || isDiscarding(socket)) return void socket.end()
  const [reason, problem] = answers[error.code ?? ""] ?? ["Bad Request", plain(new Problem.BadMessage({}))]
  refuse(socket, reason, problem)
}

/** Listener of `connect`: nobody's proxy. */
const onConnect = (_: IncomingMessage, socket: Duplex): void => {
  socket.on("error", () => undefined)
  // Behind a request that is yet to be answered, an answer would be taken for that one's.
  if (answerOf(socket)) return void socket.destroy()
  refuse(socket, "Bad Request", plain(new Problem.BadMessage({})))
}

const refuse = (socket: Duplex, reason: string, problem: GatewayProblem): void => {
  const requestId = randomUUID()
  const body = JSON.stringify({ type: "about:blank", ...problem, requestId })
  socket.end(
    `HTTP/1.1 ${problem.status} ${reason}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nCache-Control: no-store\r\nX-Request-Id: ${requestId}\r\n\r\n${body}`
  )
}

/** The answer under way on a connection: Node has it nowhere else, and its own listener looks here too. */
const answerOf = (socket: Duplex): ServerResponse | null | undefined =>
  (socket as Duplex & { readonly _httpMessage?: ServerResponse | null })._httpMessage
