import { isCrossSite, isForeignOrigin } from "@edge-relay/auth/CrossSite"
import * as Problem from "@edge-relay/domain/api/Problem"
import { AuditLog } from "@edge-relay/domain/AuditLog"
import { EdgeId } from "@edge-relay/domain/Edges"
import type { SignInSession } from "@edge-relay/domain/SignInSession"
import { TunnelDialer } from "@edge-relay/tunnel/TunnelDialer"
import { DEFAULT_SERVICE } from "@edge-relay/tunnel/TunnelProtocol"
import * as Tracing from "@edge-relay/tunnel/Tracing"
import { Cause, Clock, Context, Effect, Layer, Schema, type Tracer } from "effect"
import { randomBytes } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { discardBody } from "./DiscardBody.ts"
import { EdgeAccess } from "./EdgeAccess.ts"
import { EdgePool } from "./EdgePool.ts"
import { Exchange, type ExchangeOwner, type Forwarding } from "./Exchange.ts"
import { GatewayAuth } from "./GatewayAuth.ts"
import * as GatewayProblem from "./GatewayProblem.ts"
import * as GatewayRoute from "./GatewayRoute.ts"
import * as GatewaySpan from "./GatewaySpan.ts"
import { LiveExchanges } from "./LiveExchanges.ts"
import * as RequestHead from "./RequestHead.ts"
import { Traffic } from "./Traffic.ts"
import { UpgradedConnection } from "./UpgradedConnection.ts"

/**
 * Passes what browsers ask of an edge through its tunnel, byte for byte. Each answers false, and has done nothing,
 * where the request is not one to forward.
 *
 * No fiber and no promise for a request whose session and edge are in memory and whose edge has a connection idle.
 */
export class Gateway extends Context.Service<
  Gateway,
  {
    /** Of `request`, and of `checkContinue` with `expectsContinue`: then the edge decides whether the body is sent. */
    readonly handle: (
      request: IncomingMessage,
      response: ServerResponse,
      options?: { readonly expectsContinue: boolean }
    ) => boolean
    /** Of `upgrade`. */
    readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean
  }
>()("@edge-relay/server-api/gateway/Gateway") {
  static readonly layer = (options: GatewayOptions) =>
    Layer.effect(
      Gateway,
      Effect.suspend(() => make(options))
    )
}

export interface GatewayOptions {
  /** What browsers call us: never taken from a request. */
  readonly publicUrl: URL
  /** Where a request came from; the socket's own address where that is left out. */
  readonly addressOf?: (request: IncomingMessage) => string
  /** Told of each request as it begins, with its id and where it came from: an access log. */
  readonly watch?: (
    request: IncomingMessage,
    response: ServerResponse,
    requestId: string,
    address: string
  ) => void
  /** How long an edge may take to begin its answer once it has the request: 60 s, what people and proxies wait. */
  readonly firstByteMillis?: number
  /** Streams to one edge from this server: what a session of the tunnel carries, less the agent's own. */
  readonly maxStreamsPerEdge?: number
}

const sweepMillis = 500
/** Denials in the audit log, of one user and edge for one reason: once a minute, not once a try. */
const auditMillis = 60_000
const maxAudited = 1000

const make = Effect.fnUntraced(function* (options: GatewayOptions) {
  const auth = yield* GatewayAuth
  const access = yield* EdgeAccess
  const dialer = yield* TunnelDialer
  const traffic = yield* Traffic
  const audit = yield* AuditLog
  const clock = yield* Clock.Clock
  const tracer = yield* Tracing.tracer
  const fork = Effect.runForkWith(yield* Effect.context<never>())

  const { publicUrl, firstByteMillis = 60_000, maxStreamsPerEdge = 1000, addressOf = socketAddress } = options
  const forwardedHost = `X-Forwarded-Proto: ${publicUrl.protocol.slice(0, -1)}\r\nX-Forwarded-Host: ${publicUrl.host}\r\n`
  const now = () => clock.currentTimeMillisUnsafe()

  // ---- ids of requests that came without one

  const idPrefix = randomBytes(9).toString("base64url")
  let ids = 0
  const requestIdOf = (sent: string | undefined): string =>
    sent !== undefined && acceptableId.test(sent) ? sent : `${idPrefix}-${(++ids).toString(36)}`

  // ---- pools and exchanges

  const pools = new Map<string, EdgePool>()
  const live = new LiveExchanges((session, onEnded) => auth.watch(session, onEnded))

  const poolOf = (edgeId: string): EdgePool | undefined => {
    let pool = pools.get(edgeId)
    if (pool === undefined && isEdgeId(edgeId)) {
      pool = new EdgePool(edgeId, {
        dial: (edgeId, span) => {
          const opening = dialer.open(edgeId, DEFAULT_SERVICE)
          return fork(span === undefined ? opening : Effect.withParentSpan(opening, span, withoutStack))
        },
        maxStreams: maxStreamsPerEdge,
        now,
        onEmpty: (pool) => pools.delete(pool.edgeId),
        onDefect: (defect) => fork(Effect.logError("an edge's answer met a defect", Cause.die(defect)))
      })
      pools.set(edgeId, pool)
    }
    return pool
  }

  const tellBytes = (exchange: Exchange): void => {
    exchange.count()
    const bytes = exchange.bytesIn + exchange.bytesOut
    if (bytes === exchange.bytesTold) return
    traffic.addBytes(exchange.forwarding.session.tenantId, bytes - exchange.bytesTold)
    exchange.bytesTold = bytes
  }

  const endSpan = (span: Tracer.Span | undefined, status: number | null, cause: string | null): void => {
    if (span !== undefined) GatewaySpan.end(span, status, cause, clock.currentTimeNanosUnsafe())
  }

  const owner: ExchangeOwner = {
    now,
    firstByteMillis,
    onEnded: (exchange) => {
      live.remove(exchange)
      tellBytes(exchange)
      const { session, edgeId, requestId, target, span } = exchange.forwarding
      endSpan(span, exchange.status, exchange.cause)
      traffic.record({
        tenantId: session.tenantId,
        edgeId,
        requestId,
        startedAt: exchange.startedAt,
        method: exchange.method,
        path: pathOf(target),
        status: exchange.status,
        cause: exchange.cause,
        millis: now() - exchange.startedAt,
        bytesIn: exchange.bytesIn,
        bytesOut: exchange.bytesOut
      })
    },
    onDied: ({ forwarding: { requestId, edgeId } }, failure) =>
      fork(
        Effect.logError("an edge's stream could not be opened", failure).pipe(
          Effect.annotateLogs({ requestId, edgeId })
        )
      )
  }

  yield* Effect.acquireRelease(
    Effect.sync(() =>
      setInterval(() => {
        const at = now()
        live.sweep((exchange) => {
          exchange.checkDeadline(at)
          tellBytes(exchange)
        })
        for (const pool of pools.values()) pool.reap(at)
      }, sweepMillis).unref()
    ),
    (timer) =>
      Effect.sync(() => {
        clearInterval(timer)
        live.sweep((exchange) =>
          exchange.fail(new Problem.Unavailable({ detail: "The server is stopping." }))
        )
        for (const pool of pools.values()) pool.destroy()
      })
  )

  // ---- who may

  const audited = new Map<string, number>()
  const deny = (request: Asked, session: SignInSession, problem: GatewayProblem.GatewayProblem) => {
    const key = `${session.userId} ${request.route.edgeId} ${problem.code}`
    const at = now()
    if (at - (audited.get(key) ?? Number.NEGATIVE_INFINITY) < auditMillis) return
    audited.delete(key)
    audited.set(key, at)
    const [oldest] = audited.keys()
    if (audited.size > maxAudited && oldest !== undefined) audited.delete(oldest)
    const edgeId = isEdgeId(request.route.edgeId) ? request.route.edgeId : undefined
    fork(
      audit
        .record({
          action: "gateway.denied",
          outcome: "failure",
          tenantId: session.tenantId,
          actor: session.userId,
          edgeId,
          address: addressOf(request.request),
          requestId: request.requestId,
          detail: problem.code
        })
        .pipe(Effect.catchCause((cause) => Effect.logWarning("a denial could not be recorded", cause)))
    )
  }

  const refuse = (asked: Asked, problem: GatewayProblem.GatewayProblem, session?: SignInSession): void => {
    if (session !== undefined) deny(asked, session, problem)
    traffic.refused(problem.status, problem.code)
    endSpan(asked.span, problem.status, problem.code)
    if (asked.response.destroyed) return
    GatewayProblem.send(asked.response, problem, asked.requestId)
    if (asked.head.body !== "none") discardBody(asked.request)
  }

  const unavailable = (asked: Asked) => (error: unknown) => {
    fork(
      Effect.logWarning("a forwarded request could not be checked", error).pipe(
        Effect.annotateLogs(asked.log)
      )
    )
    refuse(asked, new Problem.StorageUnavailable({ detail: "It could not be looked up who may ask." }))
  }

  const checkSession = (asked: Asked): void => {
    const session = auth.authenticate(asked.head.cookie, asked.request.socket)
    if (session instanceof Promise) session.then((found) => checkSite(asked, found)).catch(unavailable(asked))
    else checkSite(asked, session)
  }

  const checkSite = (asked: Asked, session: SignInSession | undefined): void => {
    if (session === undefined) return refuse(asked, new Problem.Unauthorized({}))
    const headers = { "sec-fetch-site": asked.head.secFetchSite, origin: asked.head.origin }
    const crossSite =
      isCrossSite(asked.method, headers, publicUrl) ||
      (asked.upgraded !== undefined && isForeignOrigin(headers, publicUrl))
    if (crossSite) {
      const detail = "Another site's page may not do this with your session."
      return refuse(asked, new Problem.CrossSite({ detail }), session)
    }
    const allowed = access.check(session.tenantId, asked.route.edgeId)
    if (allowed instanceof Promise) {
      allowed.then((found) => forward(asked, session, found)).catch(unavailable(asked))
    } else {
      forward(asked, session, allowed)
    }
  }

  const forward = (asked: Asked, session: SignInSession, allowed: boolean): void => {
    const { request, response, head, requestId, expectsContinue, upgraded, span } = asked
    const { edgeId, prefix, target } = asked.route
    const pool = allowed ? poolOf(edgeId) : undefined
    if (pool === undefined) return refuse(asked, new Problem.EdgeNotFound({}), session)
    // The browser may have gone while it was looked up who it is.
    if (response.destroyed) return endSpan(span, null, "client_closed")
    const trace = span === undefined ? "" : GatewaySpan.lines(span, head)
    const added = `X-Forwarded-For: ${addressOf(request)}\r\n${forwardedHost}X-Forwarded-Prefix: ${prefix}\r\nX-Request-Id: ${requestId}\r\nX-Edge-User: ${session.userId}\r\n${trace}`
    const forwarding: Forwarding = {
      request,
      response,
      head,
      edgeId,
      target,
      session,
      requestId,
      added,
      expectsContinue,
      span,
      ...(upgraded === undefined ? {} : { onSwitch: upgraded.switch })
    }
    const exchange = new Exchange(forwarding, pool, owner)
    live.add(exchange)
    exchange.start()
  }

  const begin = (
    request: IncomingMessage,
    response: ServerResponse,
    route: GatewayRoute.GatewayRoute,
    expectsContinue: boolean,
    upgraded?: UpgradedConnection
  ): void => {
    const head = RequestHead.read(
      request.rawHeaders,
      request.httpVersion,
      auth.cookieName,
      tracer !== undefined
    )
    const malformed =
      "malformed" in head
        ? head.malformed
        : route.target.includes("#")
          ? "a fragment in the target"
          : upgraded !== undefined && head.body !== "none"
            ? "an upgrade with a body"
            : undefined
    if ("malformed" in head || malformed !== undefined) {
      const problem = new Problem.BadMessage({
        detail: `The request is not one that can be passed on: ${malformed}.`
      })
      traffic.refused(problem.status, problem.code)
      return GatewayProblem.send(response, problem, requestIdOf(undefined))
    }
    const requestId = requestIdOf(head.requestId)
    options.watch?.(request, response, requestId, addressOf(request))
    const method = request.method ?? "GET"
    const { edgeId } = route
    const span =
      tracer === undefined
        ? undefined
        : GatewaySpan.begin(
            tracer,
            { method, head, edgeId, requestId, path: pathOf(route.target) },
            clock.currentTimeNanosUnsafe()
          )
    const log = { requestId, edgeId }
    checkSession({ request, response, route, head, method, requestId, expectsContinue, upgraded, span, log })
  }

  return Gateway.of({
    handle: (request, response, { expectsContinue } = { expectsContinue: false }) => {
      const route = GatewayRoute.parse(request.method ?? "", request.url ?? "")
      if (route === undefined) return false
      begin(request, response, route, expectsContinue)
      return true
    },
    upgrade: (request, socket, head) => {
      const route = GatewayRoute.parse(request.method ?? "", request.url ?? "")
      if (route === undefined) return false
      const upgraded = new UpgradedConnection(request, socket, head)
      begin(request, upgraded.response, route, false, upgraded)
      return true
    }
  })
})

/** A request on its way through the checks. */
interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly route: GatewayRoute.GatewayRoute
  readonly head: RequestHead.RequestHead
  readonly method: string
  readonly requestId: string
  readonly expectsContinue: boolean
  readonly upgraded: UpgradedConnection | undefined
  readonly span: Tracer.Span | undefined
  readonly log: { readonly requestId: string; readonly edgeId: string }
}

const isEdgeId = Schema.is(EdgeId)

/** There is no line of ours where a request came from. */
const withoutStack = { captureStackTrace: false } as const

/** `::ffff:127.0.0.1` is 127.0.0.1, as a dual-stack socket says it. */
const socketAddress = ({ socket }: IncomingMessage): string =>
  (socket.remoteAddress ?? "unknown").replace(/^::ffff:(?=\d+\.)/i, "")

/** The contract's rule for an id that a caller brings. */
const acceptableId = /^[\x21-\x7e]{1,128}$/

const maxPathLength = 512

/** For the record: without the query, which may hold secrets. A long one is copied, not kept alive by its part. */
const pathOf = (target: string): string => {
  const query = target.indexOf("?")
  const path = query === -1 ? target : target.slice(0, query)
  return path.length > maxPathLength
    ? Buffer.from(path.slice(0, maxPathLength), "latin1").toString("latin1")
    : path
}
