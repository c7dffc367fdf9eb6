import { createHash, timingSafeEqual } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { Context, Effect, FiberSet, Layer, Option, Redacted, Schema } from "effect"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { SessionStore, SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import { type Dial, LINK_PATH, LINK_PROTOCOL } from "@edge-relay/protocol/LinkProtocol"
import { encodeRefusal } from "@edge-relay/protocol/StreamRefusal"
import * as Tracing from "@edge-relay/server-kit/Tracing"
import { TunnelServer } from "@edge-relay/tunnel/proxy/TunnelServer"
import { Config } from "./Config.ts"
import { sendEvents } from "./InternalEvents.ts"
import { InternalStreams, STREAM_PROTOCOL } from "./InternalStreams.ts"
import { internalServerOptions, limitConnections, listenScoped } from "@edge-relay/server-kit/Listening"
import * as ProxyMetrics from "./ProxyMetrics.ts"
import { Readiness } from "./Readiness.ts"

/**
 * The internal port: the live tunnels as JSON, their events, and streams to them, for the api and for operators.
 * All but health and metrics wants the shared key.
 */
export class InternalApi extends Context.Service<InternalApi, { readonly port: number }>()(
  "./InternalApi.ts"
) {
  static readonly layer = Layer.effect(
    InternalApi,
    Effect.suspend(() => make)
  )
}

/** Links of many apis, operators, and streams that have a connection of their own. */
const MAX_CONNECTIONS = 10_000

const make = Effect.gen(function* () {
  const { internalHost, internalKey, internalPort } = yield* Config
  const tunnels = yield* TunnelServer
  const store = yield* SessionStore
  const readiness = yield* Readiness
  const metrics = yield* ProxyMetrics.make(tunnels.totals)
  const tracer = yield* Tracing.tracer
  const run = yield* FiberSet.makeRuntime()
  const streams = new InternalStreams({
    open: ({ edgeId, service, traceparent }) => {
      const opening = tunnels.open(edgeId, service)
      return tracer === undefined
        ? opening
        : Effect.withSpan(opening, "InternalApi.stream", {
            kind: "server",
            parent: Option.getOrUndefined(Tracing.parentOf(traceparent)),
            attributes: { "edge_relay.edge_id": edgeId, "edge_relay.service": service }
          })
    },
    fork: (effect) => {
      const fiber = run(effect)
      return () => fiber.interruptUnsafe()
    }
  })
  const isAuthorized = bearerCheck(internalKey)

  const ready = Effect.gen(function* () {
    const draining = yield* tunnels.isDraining
    const missing = [
      ...(draining ? [{ name: "proxy", reason: "is draining" }] : []),
      ...(yield* readiness.missing)
    ]
    return missing.length === 0
      ? json(200, { status: "ready", missing })
      : json(503, { status: "not_ready", missing })
  })

  const sessionOf = (edgeId: EdgeId) =>
    Effect.map(
      store.lookupEdge(edgeId),
      Option.match({
        onNone: () => offline(edgeId),
        onSome: ({ summary }) => json(200, encodeSession(summary))
      })
    )

  const close = Effect.fnUntraced(function* (edgeId: EdgeId, query: URLSearchParams) {
    const reason = query.get("reason") ?? "disconnected"
    if (reason !== "disconnected" && reason !== "revoked") {
      return problem(400, "invalid_request", "reason is disconnected or revoked")
    }
    const closed = yield* tunnels.close((token) => token.edgeId === edgeId, reason)
    return closed ? noContent : offline(edgeId)
  })

  const open = (path: string): Effect.Effect<Answer> | undefined => {
    if (path === "/healthz") return Effect.succeed(json(200, { status: "ok" }))
    if (path === "/readyz") return ready
    if (path === "/metrics") return Effect.map(metrics.scrape, prometheus)
    return undefined
  }

  const guarded = (method: string, { pathname, searchParams }: URL): Effect.Effect<Answer> => {
    if (pathname === "/internal/sessions") {
      return method === "GET"
        ? Effect.map(store.list, (sessions) => json(200, encodeSessions(sessions)))
        : Effect.succeed(notAllowed("GET"))
    }
    const edgeId = edgeIdIn(pathname, SESSION_PATH)
    if (edgeId !== undefined) {
      if (method === "GET") return sessionOf(edgeId)
      return method === "DELETE" ? close(edgeId, searchParams) : Effect.succeed(notAllowed("GET, DELETE"))
    }
    if (pathname === LINK_PATH) {
      return Effect.succeed(problem(426, "upgrade_required", `links open by Upgrade: ${LINK_PROTOCOL}`))
    }
    if (edgeIdIn(pathname, STREAM_PATH) !== undefined) {
      return Effect.succeed(problem(426, "upgrade_required", `streams open by Upgrade: ${STREAM_PROTOCOL}`))
    }
    return Effect.succeed(problem(404, "not_found", "no such path"))
  }

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const { method = "GET" } = request
    const url = URL.parse(request.url ?? "", "http://proxy")
    const health = url && open(url.pathname)
    if (health) {
      run(
        Effect.map(
          method === "GET" || method === "HEAD" ? health : Effect.succeed(notAllowed("GET")),
          (answer) => send(response, answer)
        )
      )
    } else if (!isAuthorized(request)) send(response, unauthorized)
    else if (url?.pathname === "/internal/events" && method === "GET")
      run(sendEvents(response, tunnels.events))
    else if (url === null) send(response, problem(400, "invalid_request", "not a URL"))
    else run(Effect.map(guarded(method, url), (answer) => send(response, answer)))
  }

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy())
    const url = URL.parse(request.url ?? "", "http://proxy")
    const edgeId = url && edgeIdIn(url.pathname, STREAM_PATH)
    if (!isAuthorized(request)) return turnDown(socket, unauthorized)
    const wanted = request.method === "GET" ? request.headers.upgrade?.toLowerCase() : undefined
    if (url?.pathname === LINK_PATH && wanted === LINK_PROTOCOL) return streams.link(socket, head)
    if (!edgeId || wanted !== STREAM_PROTOCOL) {
      return turnDown(socket, problem(404, "not_found", "no such path, or not an Upgrade that it knows"))
    }
    const traceparent = headerOf(request, "traceparent")
    const dial: Dial = {
      edgeId,
      service: url.searchParams.get("service") ?? "http",
      ...(traceparent === undefined ? {} : { traceparent })
    }
    streams.join(dial, socket, head, (reason) => {
      const { status, body } = encodeRefusal(reason)
      turnDown(socket, problem(status, body.code, body.detail, body))
    })
  }

  yield* Effect.addFinalizer(() => Effect.sync(() => streams.close()))
  const server = createServer(internalServerOptions, onRequest).on("upgrade", onUpgrade)
  yield* limitConnections(server, MAX_CONNECTIONS)
  const port = yield* listenScoped(server, internalHost, internalPort, "INTERNAL_PORT")
  return InternalApi.of({ port })
})

interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
}

const SESSION_PATH = /^\/internal\/sessions\/([^/]+)$/
const STREAM_PATH = /^\/internal\/edges\/([^/]+)\/stream$/

const decodeEdgeId = Schema.decodeUnknownOption(EdgeId)

const edgeIdIn = (pathname: string, pattern: RegExp): EdgeId | undefined =>
  Option.getOrUndefined(decodeEdgeId(pattern.exec(pathname)?.[1]))

const encodeSession = Schema.encodeSync(Schema.toCodecJson(SessionSummary))
const encodeSessions = Schema.encodeSync(Schema.toCodecJson(Schema.Array(SessionSummary)))

const json = (status: number, body: unknown, type = "application/json"): Answer => ({
  status,
  headers: { "Content-Type": type, "Cache-Control": "no-store" },
  body: JSON.stringify(body)
})

const prometheus = (body: string): Answer => ({
  status: 200,
  headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store" },
  body
})

const noContent: Answer = { status: 204, headers: {}, body: "" }

/** RFC 9457, as everywhere in this project. */
const problem = (status: number, code: string, detail: string, more: object = {}): Answer =>
  json(
    status,
    { type: "about:blank", title: STATUS_CODES[status], status, code, detail, ...more },
    "application/problem+json"
  )

const offline = (edgeId: EdgeId) => problem(404, "edge_offline", `edge ${edgeId} has no tunnel`)

const unauthorized = withHeader(
  problem(401, "unauthorized", "the internal key is missing or wrong"),
  "WWW-Authenticate",
  "Bearer"
)

const notAllowed = (allow: string) =>
  withHeader(problem(405, "method_not_allowed", "no such method here"), "Allow", allow)

function withHeader(answer: Answer, name: string, value: string): Answer {
  return { ...answer, headers: { ...answer.headers, [name]: value } }
}

const send = (response: ServerResponse, { status, headers, body }: Answer): void => {
  response.writeHead(status, { ...headers, "Content-Length": Buffer.byteLength(body) })
  response.end(response.req.method === "HEAD" ? undefined : body)
}

/** Answers an upgrade that is not to be, and closes. */
const turnDown = (socket: Duplex, { status, headers, body }: Answer): void => {
  const lines = Object.entries({ ...headers, Connection: "close", "Content-Length": Buffer.byteLength(body) })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")
  socket.once("finish", () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${body}`)
}

const headerOf = ({ headers }: IncomingMessage, name: string): string | undefined => [headers[name]].flat()[0]

/** Compares digests, so that neither the time nor the length tells anything of the key. */
const bearerCheck = (key: Redacted.Redacted<string>) => {
  const digest = (text: string) => createHash("sha256").update(text).digest()
  const expected = digest(`Bearer ${Redacted.value(key)}`)
  return ({ headers }: IncomingMessage): boolean =>
    timingSafeEqual(digest(headers.authorization ?? ""), expected)
}
