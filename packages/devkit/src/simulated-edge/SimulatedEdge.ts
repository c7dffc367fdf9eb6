/**
 * The local server of a simulated edge: the whole edge API on a real port, with two accelerators, two cameras, and
 * a folder for media and models. It is the reference for device vendors, and what a new user meets first.
 *
 * Two things differ from a real device on purpose: a restart ends all that runs but leaves the server reachable, and
 * flashing a model whose id or name contains `fail-at-STAGE` (`fail-at-verifying`) fails at that stage.
 */
import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { maxMediaBytes } from "@edge-relay/domain/edge-api/Media"
import { maxModelBytes } from "@edge-relay/domain/edge-api/Models"
import { NodeCrypto, NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { createServer, type Server } from "node:http"
import type { Socket } from "node:net"
import { Accelerators } from "./devices/Accelerators.ts"
import { Cameras } from "./cameras/Cameras.ts"
import { CamerasHandlers } from "./cameras/CamerasHandlers.ts"
import { Clusters } from "./clusters/Clusters.ts"
import { ClustersHandlers } from "./clusters/ClustersHandlers.ts"
import { DevicesHandlers } from "./devices/DevicesHandlers.ts"
import { EdgePage } from "./system/EdgePage.ts"
import { FirmwareHandlers } from "./devices/FirmwareHandlers.ts"
import { Flashes } from "./devices/Flashes.ts"
import { InferenceHandlers } from "./devices/InferenceHandlers.ts"
import { InferenceRuns } from "./devices/InferenceRuns.ts"
import { Machine } from "./system/Machine.ts"
import { MediaHandlers } from "./files/MediaHandlers.ts"
import { MediaStore } from "./files/MediaStore.ts"
import { ModelsHandlers } from "./files/ModelsHandlers.ts"
import { firstModel, ModelStore } from "./files/ModelStore.ts"
import * as Problems from "./Problems.ts"
import { SystemHandlers } from "./system/SystemHandlers.ts"

/** The port could not be had; most often another program has it. */
export class SimulatedEdgeCannotListen extends Schema.TaggedError<SimulatedEdgeCannotListen>()(
  "SimulatedEdgeCannotListen",
  { host: Schema.String, port: Schema.Int, reason: Schema.String }
) {
  override get message() {
    return this.reason === "EADDRINUSE"
      ? `port ${this.port} of ${this.host} is taken`
      : `cannot listen on port ${this.port} of ${this.host}: ${this.reason}`
  }
}

export interface SimulatedEdgeOptions {
  /** 0 takes a free one. */
  readonly port: number
  /** Loopback unless told otherwise. */
  readonly host?: string
  /** Where media and models are kept; made where it is missing. */
  readonly folder: string
  readonly name?: string
  /** Divides how long a scan (0.7 s) and a flash (8 s) take. */
  readonly speed?: number
  /** Largest media and model, in bytes; the contract's 2 GiB unless told otherwise. */
  readonly maxUploadBytes?: number
}

export class SimulatedEdge extends Context.Service<
  SimulatedEdge,
  { readonly port: number; readonly url: string }
>()("@edge-relay/devkit/simulated-edge/SimulatedEdge") {
  /** Serves until the layer's scope closes; streams end with it. */
  static readonly layer = (options: SimulatedEdgeOptions) =>
    Layer.unwrap(
      Effect.sync(() => {
        const { host = "127.0.0.1", port } = options
        const server = createServer({
          // An upload of 2 GiB over a slow line outlasts any limit on a whole request.
          requestTimeout: 0,
          headersTimeout: 60_000
        })
        return Layer.effect(SimulatedEdge, address).pipe(
          Layer.provideMerge(layerServe),
          Layer.provide(layerState(options)),
          Layer.provide(layerCutOff(server)),
          Layer.provideMerge(
            NodeHttpServer.layer(() => server, { port, host, gracefulShutdownTimeout: "200 millis" }).pipe(
              Layer.catchTag("ServeError", ({ cause }) =>
                Layer.effectContext(Effect.fail(cannotListen(host, port, cause)))
              )
            )
          ),
          Layer.provide(NodeCrypto.layer)
        )
      })
    )
}

const cannotListen = (host: string, port: number, cause: unknown) => {
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
  return new SimulatedEdgeCannotListen({ host, port, reason })
}

const layerServe = HttpRouter.serve(
  Layer.mergeAll(HttpApiBuilder.layer(EdgeApi), EdgePage, Problems.layer).pipe(
    Layer.provide([
      SystemHandlers,
      DevicesHandlers,
      FirmwareHandlers,
      InferenceHandlers,
      CamerasHandlers,
      MediaHandlers,
      ModelsHandlers,
      ClustersHandlers
    ]),
    Layer.provide(Problems.layerValidation)
  ),
  { disableLogger: true, disableListenLog: true }
)

const layerState = ({ folder, maxUploadBytes, name = "Simulated edge", speed = 1 }: SimulatedEdgeOptions) =>
  Machine.layer(name).pipe(
    Layer.provideMerge(Layer.mergeAll(Flashes.layer, InferenceRuns.layer, Clusters.layer)),
    Layer.provideMerge(
      Layer.mergeAll(
        Accelerators.layer({ modelId: firstModel.id, speed }),
        Cameras.layer,
        MediaStore.layer({ folder, maxBytes: maxUploadBytes ?? maxMediaBytes }),
        ModelStore.layer({ folder, maxBytes: maxUploadBytes ?? maxModelBytes })
      )
    )
  )

/** A connection whose other side does not end its stream or WebSocket must not hold the server open. */
const cutOffMillis = 1_000

const layerCutOff = (server: Server) =>
  Layer.effectDiscard(
    Effect.acquireRelease(
      Effect.sync(() => {
        const sockets = new Set<Socket>()
        server.on("connection", (socket) => {
          sockets.add(socket)
          socket.once("close", () => sockets.delete(socket))
        })
        return sockets
      }),
      (sockets) =>
        Effect.sync(() => {
          setTimeout(() => sockets.forEach((socket) => socket.destroy()), cutOffMillis).unref()
        })
    )
  )

const address = Effect.gen(function* () {
  const { address } = yield* HttpServer.HttpServer
  // It listens on a port, so that its address has no other form.
  if (!("port" in address)) return yield* Effect.die(address)
  return SimulatedEdge.of({ port: address.port, url: HttpServer.formatAddress(address) })
})
