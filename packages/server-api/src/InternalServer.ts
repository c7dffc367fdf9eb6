import * as ProcessMetrics from "@edge-relay/server-kit/ProcessMetrics"
import { Context, Effect, Layer, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { Config } from "./Config.ts"
import { requestDuration } from "@edge-relay/gateway/traffic/Traffic"
import { drain, internalServerOptions, limitConnections, listen } from "@edge-relay/server-kit/Listening"
import { LiveEvents } from "./live/LiveEvents.ts"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import { Readiness } from "./Readiness.ts"

/** The port for whoever runs the server: health and metrics, without a key, on loopback unless told otherwise. */
export class InternalServer extends Context.Service<InternalServer, { readonly port: number }>()(
  "@edge-relay/server-api/InternalServer"
) {
  static readonly layer = Layer.effect(
    InternalServer,
    Effect.suspend(() => make)
  )
}

/** Probes and scrapers, each of which has one. */
const maxConnections = 1_000

const make = Effect.gen(function* () {
  const { internalHost, internalPort } = yield* Config
  const readiness = yield* Readiness
  const live = yield* LiveEvents
  const presence = yield* Presence
  const processMetrics = yield* ProcessMetrics.make
  // So that it is shown before the first request.
  yield* Metric.value(requestDuration)
  const fork = Effect.runForkWith(yield* Effect.context<never>())

  const metrics = Effect.gen(function* () {
    yield* Metric.update(listeners, live.count())
    yield* Metric.update(proxiesMissing, presence.missing().length)
    yield* processMetrics.sample
    return yield* PrometheusMetrics.format()
  })

  const answer = (request: IncomingMessage): Effect.Effect<Answer> => {
    switch (request.url?.split("?", 1)[0]) {
      case "/healthz":
        return Effect.succeed({ status: 200, type: json, body: '{"status":"ok"}' })
      case "/readyz":
        return Effect.map(readiness.missing, (missing) => ({
          status: missing.length === 0 ? 200 : 503,
          type: json,
          body: JSON.stringify({ status: missing.length === 0 ? "ready" : "not_ready", missing })
        }))
      case "/metrics":
        return Effect.map(metrics, (body) => ({ status: 200, type: prometheus, body }))
      default:
        return Effect.succeed({ status: 404, type: json, body: '{"status":"not found"}' })
    }
  }

  const server = createServer(internalServerOptions, (request, response) => {
    const handled =
      request.method === "GET" || request.method === "HEAD"
        ? answer(request)
        : Effect.succeed({ status: 405, type: json, body: '{"status":"method not allowed"}' })
    fork(
      Effect.matchCauseEffect(handled, {
        onSuccess: (found) => Effect.sync(() => send(response, found)),
        onFailure: (cause) =>
          Effect.andThen(
            Effect.logError("the internal port failed to answer", cause),
            Effect.sync(() => send(response, { status: 500, type: json, body: '{"status":"failed"}' }))
          )
      })
    )
  })
  yield* limitConnections(server, maxConnections)
  const port = yield* listen(server, internalHost, internalPort, "API_INTERNAL_PORT")
  yield* Effect.addFinalizer(() => drain(server, 1))
  return InternalServer.of({ port })
})

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

const json = "application/json"
const prometheus = "text/plain; version=0.0.4; charset=utf-8"

const send = (response: ServerResponse, { status, type, body }: Answer): void => {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" })
  response.end(response.req.method === "HEAD" ? undefined : body)
}

const listeners = Metric.gauge("api_event_listeners", { description: "Open event streams of edges" })
const proxiesMissing = Metric.gauge("api_proxies_missing", {
  description: "Proxies whose events are not followed"
})
