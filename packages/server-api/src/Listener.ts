import { maxBodyBytes } from "@edge-relay/domain/api/Conventions"
import { BadMessage, ExpectationFailed } from "@edge-relay/domain/api/Problem"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Layer, Option, Scope } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import type { IncomingMessage, ServerResponse } from "node:http"
import { AccessLog } from "./AccessLog.ts"
import * as Answers from "./http/Answers.ts"
import { ClientAddress } from "@edge-relay/server-kit/ClientAddress"
import { Config } from "./Config.ts"
import { discardBody } from "@edge-relay/gateway/http/DiscardBody"
import { Gateway } from "@edge-relay/gateway/Gateway"
import * as GatewayProblem from "@edge-relay/gateway/GatewayProblem"
import * as GatewayServer from "@edge-relay/gateway/GatewayServer"
import * as RequestTarget from "@edge-relay/gateway/http/RequestTarget"
import { InternalServer } from "./InternalServer.ts"
import { drain, limitConnections, listen } from "@edge-relay/server-kit/Listening"
import { LiveEvents } from "./live/LiveEvents.ts"
import { Readiness } from "@edge-relay/server-kit/Readiness"
import * as RequestId from "@edge-relay/server-kit/RequestId"

/**
 * The public port: one `http.Server`, whose requests the gateway sees first and the router then. When it goes,
 * it stops taking connections, says so at `/readyz`, and lets what runs finish for `DRAIN_SECONDS`.
 */
export class Listener extends Context.Service<Listener, { readonly port: number }>()(
  "@edge-relay/server-api/Listener"
) {
  static readonly layer = Layer.effect(
    Listener,
    Effect.suspend(() => make)
  ).pipe(Layer.provideMerge(InternalServer.layer))
}

/** The 20,000 event streams that `LiveEvents` takes, and half as many for all else. An idle one has some 10 KB. */
const maxConnections = 30_000

const make = Effect.gen(function* () {
  const config = yield* Config
  const gateway = yield* Gateway
  const router = yield* HttpRouter.HttpRouter
  const readiness = yield* Readiness
  const live = yield* LiveEvents
  const log = yield* AccessLog
  // Built before this, so that it still answers while this drains.
  yield* InternalServer

  // Of the handlers' fibers: begun before the finalizer that drains, so that it ends after it.
  const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
  const { of: addressOf } = yield* ClientAddress
  const address = (request: IncomingMessage) => addressOf(request.socket.remoteAddress, request.headers)

  /** Handlers see who really asks, not the load balancer. */
  const app = Effect.updateService(
    Answers.finish(router.asHttpEffect(), config),
    HttpServerRequest.HttpServerRequest,
    (request) =>
      request.modify({
        remoteAddress: Option.some(addressOf(Option.getOrUndefined(request.remoteAddress), request.headers))
      })
  )
  const handle = yield* NodeHttpServer.makeHandler(app, { scope })

  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    const id = RequestId.assign(request)
    response.setHeader("X-Request-Id", id)
    log.watch(request, response, id, address(request))
    // A body that no handler reads: Node would wait for it for good, since uploads to edges may take their time.
    response.once("finish", () => discardBody(request))
  }

  /** What the gateway refuses of its own accord. */
  const isMalformed = (request: IncomingMessage, response: ServerResponse): boolean => {
    const fault = RequestTarget.faultOf(request)
    if (fault === undefined) return false
    const problem = new BadMessage({ detail: `The request cannot be understood: ${fault}.` })
    GatewayProblem.send(response, problem, RequestId.assign(request))
    return true
  }

  const server = GatewayServer.create(gateway, (request, response, expectation) => {
    begin(request, response)
    if (expectation === "unknown") {
      const problem = new ExpectationFailed({ detail: "Nothing can be expected but 100-continue." })
      return GatewayProblem.send(response, problem, RequestId.assign(request))
    }
    if (isMalformed(request, response)) return
    // A body that is refused for its size need not be sent first.
    const isTooLarge = Number(request.headers["content-length"] ?? 0) > maxBodyBytes
    if (expectation === "continue" && !isTooLarge) response.writeContinue()
    handle(request, response)
  })
  yield* limitConnections(server, maxConnections)

  const port = yield* listen(server, config.host, config.port, "API_PORT")
  yield* Effect.logInfo("the API is up").pipe(
    Effect.annotateLogs({ url: config.publicUrl.origin, host: config.host, port })
  )
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      yield* readiness.drain
      yield* live.close
      yield* drain(server, config.drainSeconds)
    })
  )
  return Listener.of({ port })
})
