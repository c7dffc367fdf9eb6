import { ConformanceClient } from "@edge-relay/conformance/EdgeClient"
import { SimulatedEdge, type SimulatedEdgeOptions } from "@edge-relay/devkit/simulated-edge/SimulatedEdge"
import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { Context, Effect, FileSystem, Layer } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"

/** A simulated edge of its own, in a folder of its own, until the scope closes; fast, unless told otherwise. */
export const startEdge = Effect.fn("startEdge")(function* (options: Partial<SimulatedEdgeOptions> = {}) {
  const fs = yield* FileSystem.FileSystem
  const folder = options.folder ?? (yield* fs.makeTempDirectoryScoped({ prefix: "simulated-edge-" }))
  const context = yield* Layer.build(
    Layer.fresh(
      Layer.unwrap(Effect.map(SimulatedEdge, ({ url }) => ConformanceClient.layer(url))).pipe(
        Layer.provideMerge(SimulatedEdge.layer({ port: 0, speed: 20, ...options, folder }))
      )
    )
  )
  const { url, port } = Context.get(context, SimulatedEdge)
  const api = yield* HttpApiClient.make(EdgeApi, {
    transformClient: HttpClient.mapRequest(HttpClientRequest.prependUrl(url))
  }).pipe(Effect.provide(FetchHttpClient.layer))
  return { url, port, folder, api, http: Context.get(context, ConformanceClient) }
})
