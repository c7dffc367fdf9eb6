import * as InternalPort from "@edge-relay/server-kit/InternalPort"
import * as Operations from "@edge-relay/server-kit/Operations"
import { Context, Effect, Layer, Metric } from "effect"
import { HttpRouter } from "effect/http"
import { Config } from "./Config.ts"
import { requestDuration } from "@edge-relay/gateway/traffic/Traffic"
import { LiveEvents } from "./live/LiveEvents.ts"
import { Presence } from "@edge-relay/domain/tunnels/Presence"

const listeners = Metric.gauge("api_event_listeners", { description: "Open event streams of edges" })
const proxiesMissing = Metric.gauge("api_proxies_missing", {
  description: "Proxies whose events are not followed"
})

/** Probes and scrapers, each of which has one. */
const maxConnections = 1_000

const layerOperations = Layer.unwrap(
  Effect.gen(function* () {
    const live = yield* LiveEvents
    const presence = yield* Presence
    // So that it is shown before the first request.
    yield* Metric.value(requestDuration)
    return Operations.layer(
      Effect.gen(function* () {
        yield* Metric.update(listeners, live.count())
        yield* Metric.update(proxiesMissing, presence.missing().length)
      })
    )
  })
)

/** The port for whoever runs the server: health and metrics, without a key, on loopback unless told otherwise. */
export class InternalServer extends Context.Service<InternalServer, { readonly port: number }>()(
  "@edge-relay/server-api/InternalServer"
) {
  static readonly layer = Layer.effect(
    InternalServer,
    Effect.gen(function* () {
      const { internalHost, internalPort } = yield* Config
      const port = yield* InternalPort.listen({
        host: internalHost,
        port: internalPort,
        variable: "API_INTERNAL_PORT",
        maxConnections,
        routes: Operations.routes
      })
      return InternalServer.of({ port })
    })
  ).pipe(
    Layer.provide(layerOperations),
    // Not the router of the public port.
    Layer.provide(Layer.fresh(HttpRouter.layer))
  )
}
