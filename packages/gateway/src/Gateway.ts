import * as Problem from "@edge-relay/domain/api/Problem"
import { socketAddress } from "@edge-relay/server-kit/ClientAddress"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import * as Tracing from "@edge-relay/server-kit/Tracing"
import { Cause, Clock, Context, Effect, FiberSet, Layer, type Tracer } from "effect"
import { randomBytes } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import * as RequestId from "@edge-relay/server-kit/RequestId"
import * as GatewayPage from "./GatewayPage.ts"
import * as HostEntry from "./hosts/HostEntry.ts"
import * as HostRoute from "./hosts/HostRoute.ts"
import * as HostSignIn from "./hosts/HostSignIn.ts"
import * as CrossOrigin from "./access/CrossOrigin.ts"
import * as Denials from "./access/Denials.ts"
import { discardBody } from "./http/DiscardBody.ts"
import { type Asked, pathOf } from "./exchange/Asked.ts"
import { type Caller, isToken } from "./access/Caller.ts"
import * as Permission from "./access/Permission.ts"
import { EdgeAccess } from "./access/EdgeAccess.ts"
import * as Lookup from "./access/Lookup.ts"
import type { Forwarding } from "./exchange/Forwarding.ts"
import * as Forwarder from "./exchange/Forwarder.ts"
import { type Authenticated, GatewayAuth } from "./access/GatewayAuth.ts"
import * as GatewayProblem from "./GatewayProblem.ts"
import * as GatewayRoute from "./access/GatewayRoute.ts"
import * as GatewaySpan from "./traffic/GatewaySpan.ts"
import * as RequestTarget from "./http/RequestTarget.ts"
import * as RequestHead from "./http/RequestHead.ts"
import * as ServiceStreams from "./streams/ServiceStreams.ts"
import { Traffic } from "./traffic/Traffic.ts"
import { UpgradedConnection } from "./exchange/UpgradedConnection.ts"

/**
 * Passes what browsers ask of an edge through its tunnel, byte for byte. Each answers false, and has done nothing,
 * where the request is not one to forward.
 *
 * No fiber for a request whose session and edge are in memory and whose edge has a connection idle.
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
    /** Whether a request is one to forward, or is on a host of an edge. */
    readonly isFor: (request: IncomingMessage) => boolean
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
  /** `EDGE_DOMAIN`: where each edge has a host of its own; undefined where none has. */
  readonly edgeDomain?: string | undefined
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

const ours = { own: undefined, service: undefined } as const
const make = Effect.fnUntraced(function* (options: GatewayOptions) {
  const auth = yield* GatewayAuth
  const access = yield* EdgeAccess
  const traffic = yield* Traffic
  const clock = yield* Clock.Clock
  const tracer = yield* Tracing.tracer
  const fork = yield* FiberSet.makeRuntime()

  const { publicUrl, addressOf = ofSocket, edgeDomain } = options
  const scheme = publicUrl.protocol
  const hostEntry = yield* HostEntry.make(publicUrl)
  const forwarder = yield* Forwarder.make({
    firstByteMillis: options.firstByteMillis ?? 60_000,
    uploadIdleMillis: options.uploadIdleMillis ?? 120_000,
    maxStreamsPerEdge: options.maxStreamsPerEdge ?? 1000
  })
  const streams = yield* ServiceStreams.make
  const deny = yield* Denials.make
  const crossOrigin = CrossOrigin.make(publicUrl, edgeDomain)
  const forwardedProto = `X-Forwarded-Proto: ${scheme.slice(0, -1)}\r\n`
  const forwardedHost = `${forwardedProto}X-Forwarded-Host: ${publicUrl.host}\r\n`

  const idPrefix = randomBytes(9).toString("base64url")
  let ids = 0
  const requestIdOf = (sent: string | undefined): string =>
    sent !== undefined && RequestId.isAcceptable(sent) ? sent : `${idPrefix}-${(++ids).toString(36)}`

  const endSpan = (span: Tracer.Span | undefined, status: number | null, cause: string | null): void => {
    if (span !== undefined) GatewaySpan.end(span, status, cause, clock.currentTimeNanosUnsafe())
  }

  const refuse = (asked: Asked, problem: GatewayProblem.GatewayProblem, caller?: Caller): void => {
    if (caller !== undefined) {
      const { requestId, request, route } = asked
      deny({ caller, edgeId: route.edgeId, code: problem.code, address: addressOf(request), requestId })
    }
    traffic.refused(problem.status, problem.code)
    endSpan(asked.span, problem.status, problem.code)
    if (asked.response.destroyed) return
    if (asked.response.headersSent) return void asked.response.destroy()
    GatewayProblem.send(
      asked.response,
      problem,
      asked.requestId,
      GatewayPage.isNavigation(asked.method, asked.head)
    )
    if (asked.head.body !== "none") discardBody(asked.request)
  }

  const failed = (asked: Asked, cause: Cause.Cause<StorageUnavailable>): void => {
    fork(GatewayProblem.log(cause, { requestId: asked.requestId, edgeId: asked.route.edgeId }))
    refuse(asked, GatewayProblem.ofCause(cause))
  }

  const follow = <A>(asked: Asked, lookup: Lookup.Lookup<A>, found: (found: A) => void): void =>
    Lookup.follow(lookup, { fork, found, failed: (cause) => failed(asked, cause) })

  const checkSession = (asked: Asked): void => {
    const { own, head } = asked
    if (own !== undefined && HostSignIn.isOurs(asked.route.target)) return completeSignIn(asked, own)
    if (crossOrigin.isPreflight(asked)) return forward(asked, undefined, true)
    const who =
      head.token !== undefined
        ? auth.authenticateToken(head.token, addressOf(asked.request))
        : own === undefined
          ? auth.authenticate(head.cookie, asked.request.socket)
          : auth.authenticateAt(own.host, head.cookie, asked.request.socket)
    follow(asked, who, (found) => checkSite(asked, found))
  }

  const checkSite = (asked: Asked, who: Authenticated | undefined): void => {
    if (who === undefined) return enter(asked)
    const { caller } = who
    const foreign = isToken(caller) ? undefined : crossOrigin.refusal(asked)
    const problem = foreign ?? Permission.refusal(caller, asked)
    if (problem !== undefined) return refuse(asked, problem, caller)
    follow(asked, access.check(caller, asked.route.edgeId), (allowed) => forward(asked, who, allowed))
  }

  /** Nobody is signed in. On an edge's host a navigation is sent to be; nothing else is, nor anything on ours. */
  const enter = (asked: Asked): void => {
    const { head, own, request, response, span } = asked
    const problem = new Problem.Unauthorized({})
    // Nobody is sent to sign in who came with a token.
    if (own === undefined || head.token !== undefined) return refuse(asked, problem)
    traffic.refused(problem.status, problem.code)
    endSpan(span, problem.status, problem.code)
    if (response.destroyed) return
    if (head.body !== "none") discardBody(request)
    hostEntry.enter({ ...asked, own }, problem)
  }

  const completeSignIn = (asked: Asked, own: HostRoute.OwnHost): void => {
    const { head, method, route, span } = asked
    if (method !== "GET" || head.body !== "none" || !HostSignIn.isTicket(route.target)) {
      return refuse(asked, new Problem.NotFound({}))
    }
    follow(asked, hostEntry.complete({ ...asked, own }), (status) =>
      endSpan(span, status, status === null ? "client_closed" : null)
    )
  }

  const forward = (asked: Asked, who: Authenticated | undefined, allowed: boolean): void => {
    const { request, response, head, requestId, path, expectsContinue, upgraded, span, own } = asked
    const caller = who?.caller
    const { edgeId, prefix, stream, target } = asked.route
    // The browser may have gone while it was looked up who it is.
    if (response.destroyed) return endSpan(span, null, "client_closed")
    if (stream !== undefined && caller !== undefined && allowed) {
      return streams.open(asked, stream, caller, (problem) => refuse(asked, problem))
    }
    const trace = span === undefined ? "" : GatewaySpan.lines(span, head)
    const forwarding: Forwarding = {
      request,
      response,
      head,
      edgeId,
      target,
      path,
      caller,
      renewedCookie: who?.renewedCookie,
      requestId,
      own,
      isNavigation: GatewayPage.isNavigation(asked.method, head),
      ...(asked.service === undefined ? {} : { service: asked.service }),
      added: `X-Forwarded-For: ${addressOf(request)}\r\n${
        own === undefined
          ? `${forwardedHost}X-Forwarded-Prefix: ${prefix}\r\n`
          : `${forwardedProto}X-Forwarded-Host: ${own.host}\r\n`
      }X-Request-Id: ${requestId}\r\n${caller === undefined ? "" : `X-Edge-User: ${caller.userId}\r\n`}${trace}`,
      expectsContinue,
      span,
      ...(upgraded === undefined ? {} : { onSwitch: upgraded.switch })
    }
    if (!allowed || !forwarder.forward(forwarding)) refuse(asked, new Problem.EdgeNotFound({}), caller)
  }

  const begin = (
    request: IncomingMessage,
    response: ServerResponse,
    route: GatewayRoute.GatewayRoute | HostRoute.HostRoute,
    expectsContinue: boolean,
    upgraded?: UpgradedConnection
  ): void => {
    const { own, service } = "own" in route ? route : ours
    const place = own === undefined ? "our-origin" : "edge-host"
    const { httpVersion, rawHeaders } = request
    const head = RequestHead.read(rawHeaders, httpVersion, place, tracer !== undefined, auth.tokenOf)
    const malformed =
      "malformed" in head
        ? head.malformed
        : route.target.includes("#")
          ? "a fragment in the target"
          : upgraded !== undefined && head.body !== "none"
            ? "an upgrade with a body"
            : own !== undefined
              ? RequestTarget.faultOf(request)
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
    const came = { request, response, route, own, service, expectsContinue, upgraded }
    const asked: Asked = { ...came, head, method, path, requestId, span }
    // RFC 9110 §9.3.8: an answer to TRACE shows the request's headers, ours among them.
    if (method === "TRACE") return refuse(asked, new Problem.MethodNotAllowed({}))
    if (own !== undefined && route.edgeId === "") return refuse(asked, new Problem.EdgeNotFound({}))
    try {
      checkSession(asked)
    } catch (error) {
      failed(asked, Cause.die(error))
    }
  }

  /** On an edge's host every path is the edge's; on every other host the path names the edge. */
  const routeOf = (request: IncomingMessage) =>
    (edgeDomain === undefined ? undefined : HostRoute.parse(edgeDomain, scheme, request)) ??
    GatewayRoute.parse(request.method ?? "", request.url ?? "")

  return Gateway.of({
    handle: (request, response, { expectsContinue } = { expectsContinue: false }) => {
      const route = routeOf(request)
      if (route === undefined) return false
      begin(request, response, route, expectsContinue)
      return true
    },
    isFor: (request) => routeOf(request) !== undefined,
    upgrade: (request, socket, head) => {
      const route = routeOf(request)
      if (route === undefined) return false
      const upgraded = new UpgradedConnection(request, socket, head)
      begin(request, upgraded.response, route, false, upgraded)
      return true
    }
  })
})

/** Without a look at the headers, of which Node makes an object when it is first asked for it. */
const ofSocket = ({ socket }: IncomingMessage): string => socketAddress(socket.remoteAddress)
