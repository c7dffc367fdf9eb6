import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Layer, Metric } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { InternalApi } from "@edge-relay/protocol/InternalApi"
import * as InternalPort from "@edge-relay/server-kit/InternalPort"
import * as Operations from "@edge-relay/server-kit/Operations"
import * as ProcessMetrics from "@edge-relay/server-kit/ProcessMetrics"
import { Readiness } from "@edge-relay/server-kit/Readiness"
import * as Routes from "@edge-relay/server-kit/Routes"
import * as TunnelMetrics from "@edge-relay/tunnel/proxy/TunnelMetrics"
import { TunnelServer } from "@edge-relay/tunnel/proxy/TunnelServer"
import { Config } from "./Config.ts"
import * as InternalKeyCheck from "./InternalKeyCheck.ts"
import * as SessionHandlers from "./SessionHandlers.ts"
import * as StreamHandlers from "./StreamHandlers.ts"

/** Links of many apis, operators, and streams that have a connection of their own. */
const MAX_CONNECTIONS = 10_000

const layerApi = HttpApiBuilder.layer(InternalApi).pipe(
  Layer.provide(Layer.mergeAll(SessionHandlers.layer, StreamHandlers.layer)),
  Layer.provide(Layer.mergeAll(InternalKeyCheck.layer, SessionHandlers.layerConventions)),
  Layer.provide(NodeHttpServer.layerHttpServices)
)

const layerOperations = Layer.unwrap(
  Effect.gen(function* () {
    const tunnels = yield* TunnelServer
    const readiness = yield* Readiness
    yield* readiness.require(
      "proxy",
      Effect.flatMap(tunnels.isDraining, (isDraining) =>
        isDraining ? Effect.fail({ reason: "is draining" }) : Effect.void
      )
    )
    // So that they are shown before anything has happened to them.
    yield* Metric.update(TunnelMetrics.displaced, 0)
    yield* Metric.value(TunnelMetrics.roundTripSeconds)
    return Operations.layer(
      Effect.gen(function* () {
        const { sessions, streams, bytesIn, bytesOut } = yield* tunnels.totals
        yield* Metric.update(TunnelMetrics.sessions, sessions)
        yield* Metric.update(TunnelMetrics.streams, streams)
        yield* ProcessMetrics.raise(TunnelMetrics.bytesIn, bytesIn)
        yield* ProcessMetrics.raise(TunnelMetrics.bytesOut, bytesOut)
      })
    )
  })
)

/** The internal port: `InternalApi` for whoever has the key, and health and metrics for whoever reaches it. */
export class InternalServer extends Context.Service<InternalServer, { readonly port: number }>()(
  "@edge-relay/server-proxy/InternalServer"
) {
  static readonly layer = Layer.effect(
    InternalServer,
    Effect.gen(function* () {
      const { internalHost, internalKey, internalPort } = yield* Config
      const isKey = InternalKeyCheck.make(internalKey)
      const port = yield* InternalPort.listen({
        host: internalHost,
        port: internalPort,
        variable: "INTERNAL_PORT",
        maxConnections: MAX_CONNECTIONS,
        routes: [...Routes.ofApi(InternalApi), ...Operations.routes],
        mayLook: ({ headers }) => isKey(/^Bearer +(.*)$/i.exec(headers["authorization"] ?? "")?.[1] ?? "")
      })
      return InternalServer.of({ port })
    })
  ).pipe(
    Layer.provide(Layer.mergeAll(layerApi, layerOperations)),
    Layer.provide(Layer.fresh(HttpRouter.layer))
  )
}
