import { createServer, STATUS_CODES } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Cause, Effect, Scope } from "effect"
import { HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { internalServerOptions, limitConnections, listenScoped } from "./Listening.ts"
import { methodsOf, type Route } from "./Routes.ts"

/** A server's port for the other servers and for whoever runs them: a router on a `node:http` server of its own. */

export interface InternalPortOptions {
  readonly host: string
  readonly port: number
  /** The variable that names the port, for whoever finds it taken. */
  readonly variable: string
  readonly maxConnections: number
  /** All that the router has, for `Allow`. */
  readonly routes: ReadonlyArray<Route>
  /** Whether a request to a path that is not there may know so; 401 where it may not. */
  readonly mayLook?: (request: HttpServerRequest.HttpServerRequest) => boolean
}

/** Listens until the scope closes; answers the port, which differs where 0 was asked for. */
export const listen = Effect.fnUntraced(function* (options: InternalPortOptions) {
  const router = yield* HttpRouter.HttpRouter
  // Handlers end before what they work with.
  const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
  const app = withProblems(router.asHttpEffect(), options)
  const server = createServer(internalServerOptions, yield* NodeHttpServer.makeHandler(app, { scope }))
  const upgrade = yield* NodeHttpServer.makeUpgradeHandler(
    Effect.die(new Error("no endpoint here is a WebSocket")),
    app,
    { scope }
  )
  server.on("upgrade", (request, socket, head) => {
    // Back to where an endpoint that takes the connection over reads on.
    if (head.length > 0) socket.unshift(head)
    upgrade(request, socket, Buffer.alloc(0))
  })
  yield* limitConnections(server, options.maxConnections)
  return yield* listenScoped(server, options.host, options.port, options.variable)
})

/** Every error is a problem (RFC 9457): what no route answers, what ends without a body, and defects. */
const withProblems = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  { mayLook = () => true, routes }: InternalPortOptions
) => {
  const allowed = methodsOf(routes)

  const unknown = (request: HttpServerRequest.HttpServerRequest) => {
    if (!mayLook(request)) return HttpServerResponse.empty({ status: 401 })
    const methods = allowed(request.url.split("?", 1)[0] ?? "")
    return methods.length === 0
      ? HttpServerResponse.empty({ status: 404 })
      : HttpServerResponse.empty({ status: 405, headers: { allow: methods.join(", ") } })
  }

  return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    app.pipe(
      Effect.catchCause((cause) => {
        // Whoever asked has gone, or the server stops.
        if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
        const error = Cause.squash(cause)
        if (HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound") {
          return Effect.succeed(unknown(request))
        }
        return Effect.as(
          Effect.logError("the internal port failed to answer", cause),
          HttpServerResponse.empty({ status: 500 })
        )
      }),
      Effect.map(toProblem)
    )
  )
}

const codes: { readonly [status: number]: string } = {
  400: "invalid_request",
  401: "unauthorized",
  404: "not_found",
  405: "method_not_allowed",
  426: "upgrade_required",
  500: "internal_error"
}

const toProblem = (
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  const { status } = response
  if (status < 400) return response
  // RFC 9110 §11.6.1.
  const headers = status === 401 ? { ...response.headers, "www-authenticate": "Bearer" } : response.headers
  if (response.body._tag !== "Empty") return HttpServerResponse.setHeaders(response, headers)
  return HttpServerResponse.jsonUnsafe(
    { type: "about:blank", title: STATUS_CODES[status], status, code: codes[status] ?? "error" },
    { status, headers, contentType: "application/problem+json" }
  )
}
