import { isCrossSite, isForeignOrigin } from "@edge-relay/auth/session/CrossSite"
import * as Problem from "@edge-relay/domain/api/Problem"
import type { SignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import { socketAddress } from "@edge-relay/server-kit/ClientAddress"
import * as Tracing from "@edge-relay/server-kit/Tracing"
import { Clock, Context, Effect, Layer, type Tracer } from "effect"
import { randomBytes } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import * as RequestId from "@edge-relay/server-kit/RequestId"
import * as Denials from "./access/Denials.ts"
import { discardBody } from "./http/DiscardBody.ts"
import { EdgeAccess } from "./access/EdgeAccess.ts"
import type { Forwarding } from "./exchange/Exchange.ts"
import * as Forwarder from "./exchange/Forwarder.ts"
import { type Authenticated, GatewayAuth } from "./access/GatewayAuth.ts"
import * as GatewayProblem from "./GatewayProblem.ts"
import * as GatewayRoute from "./access/GatewayRoute.ts"
import * as GatewaySpan from "./traffic/GatewaySpan.ts"
import * as RequestHead from "./http/RequestHead.ts"
import { Traffic } from "./traffic/Traffic.ts"
import { UpgradedConnection } from "./exchange/UpgradedConnection.ts"

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
>()("@edge-relay/gateway/Gateway") {
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
  /**
   * How long a browser may pause in the middle of a request's body, while the edge waits for it: 120 s, twice what
   * nginx gives. An answer that is on its way already counts as no pause.
   */
  readonly uploadIdleMillis?: number
  /** Streams to one edge from this server: what a session of the tunnel carries, less the agent's own. */
  readonly maxStreamsPerEdge?: number
}

const make = Effect.fnUntraced(function* (options: GatewayOptions) {
  const auth = yield* GatewayAuth
  const access = yield* EdgeAccess
  const traffic = yield* Traffic
  const clock = yield* Clock.Clock
  const tracer = yield* Tracing.tracer
  const fork = Effect.runForkWith(yield* Effect.context<never>())

  const { publicUrl, addressOf = ofSocket } = options
  const forwarder = yield* Forwarder.make({
    firstByteMillis: options.firstByteMillis ?? 60_000,
    uploadIdleMillis: options.uploadIdleMillis ?? 120_000,
    maxStreamsPerEdge: options.maxStreamsPerEdge ?? 1000
  })
  const deny = yield* Denials.make
  const forwardedHost = `X-Forwarded-Proto: ${publicUrl.protocol.slice(0, -1)}\r\nX-Forwarded-Host: ${publicUrl.host}\r\n`

  const idPrefix = randomBytes(9).toString("base64url")
  let ids = 0
  const requestIdOf = (sent: string | undefined): string =>
    sent !== undefined && RequestId.isAcceptable(sent) ? sent : `${idPrefix}-${(++ids).toString(36)}`

  const endSpan = (span: Tracer.Span | undefined, status: number | null, cause: string | null): void => {
    if (span !== undefined) GatewaySpan.end(span, status, cause, clock.currentTimeNanosUnsafe())
  }

  const refuse = (asked: Asked, problem: GatewayProblem.GatewayProblem, session?: SignInSession): void => {
    if (session !== undefined) {
      const { requestId, request, route } = asked
      deny({ session, edgeId: route.edgeId, code: problem.code, address: addressOf(request), requestId })
    }
    traffic.refused(problem.status, problem.code)
    endSpan(asked.span, problem.status, problem.code)
    if (asked.response.destroyed) return
    GatewayProblem.send(asked.response, problem, asked.requestId)
    if (asked.head.body !== "none") discardBody(asked.request)
  }

  const unavailable = (asked: Asked) => (error: unknown) => {
    fork(
      Effect.logWarning("a forwarded request could not be checked", error).pipe(
        Effect.annotateLogs({ requestId: asked.requestId, edgeId: asked.route.edgeId })
      )
    )
    refuse(asked, new Problem.StorageUnavailable({ detail: "It could not be looked up who may ask." }))
  }

  const checkSession = (asked: Asked): void => {
    const who = auth.authenticate(asked.head.cookie, asked.request.socket)
    if (who instanceof Promise) who.then((found) => checkSite(asked, found)).catch(unavailable(asked))
    else checkSite(asked, who)
  }

  const checkSite = (asked: Asked, who: Authenticated | undefined): void => {
    if (who === undefined) return refuse(asked, new Problem.Unauthorized({}))
    const { session } = who
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
      allowed.then((found) => forward(asked, who, found)).catch(unavailable(asked))
    } else {
      forward(asked, who, allowed)
    }
  }

  const forward = (asked: Asked, { session, renewedCookie }: Authenticated, allowed: boolean): void => {
    const { request, response, head, requestId, path, expectsContinue, upgraded, span } = asked
    const { edgeId, prefix, target } = asked.route
    // The browser may have gone while it was looked up who it is.
    if (response.destroyed) return endSpan(span, null, "client_closed")
    const trace = span === undefined ? "" : GatewaySpan.lines(span, head)
    const forwarding: Forwarding = {
      request,
      response,
      head,
      edgeId,
      target,
      path,
      session,
      renewedCookie,
      requestId,
      added: `X-Forwarded-For: ${addressOf(request)}\r\n${forwardedHost}X-Forwarded-Prefix: ${prefix}\r\nX-Request-Id: ${requestId}\r\nX-Edge-User: ${session.userId}\r\n${trace}`,
      expectsContinue,
      span,
      ...(upgraded === undefined ? {} : { onSwitch: upgraded.switch })
    }
    if (!allowed || !forwarder.forward(forwarding)) refuse(asked, new Problem.EdgeNotFound({}), session)
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
    const { edgeId, target } = route
    const path = pathOf(target)
    const span =
      tracer &&
      GatewaySpan.begin(tracer, { method, head, edgeId, requestId, path }, clock.currentTimeNanosUnsafe())
    checkSession({ request, response, route, head, method, path, requestId, expectsContinue, upgraded, span })
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
  readonly path: string
  readonly requestId: string
  readonly expectsContinue: boolean
  readonly upgraded: UpgradedConnection | undefined
  readonly span: Tracer.Span | undefined
}

/** Without a look at the headers, of which Node makes an object when it is first asked for it. */
const ofSocket = ({ socket }: IncomingMessage): string => socketAddress(socket.remoteAddress)

const maxPathLength = 512

/** For the record: without the query, which may hold secrets. A long one is copied, not kept alive by its part. */
const pathOf = (target: string): string => {
  const query = target.indexOf("?")
  const path = query === -1 ? target : target.slice(0, query)
  return path.length > maxPathLength
    ? Buffer.from(path.slice(0, maxPathLength), "latin1").toString("latin1")
    : path
}
