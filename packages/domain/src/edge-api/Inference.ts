/**
 * Inference on a device: continuous, from a camera, as events or over a WebSocket; or one image at a time.
 *
 * A reader that is too slow loses results, never the newest state: `sequence` shows the gaps.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { CameraId } from "./Cameras.ts"
import { DeviceId } from "./Devices.ts"
import { EdgeEvent } from "./EdgeEvent.ts"
import { Conflict, NotFound, PayloadTooLarge, UnsupportedMediaType, UpgradeRequired } from "./EdgeProblem.ts"
import { EdgeTime } from "./EdgeTime.ts"
import { ModelId } from "./Models.ts"

/** Largest image that `infer` takes, in bytes: 20 MiB, an uncompressed 4K frame's worth. */
export const maxImageBytes = 20 * 1024 * 1024

const Fraction = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

/** Edges of the box as fractions of the image's width and height, from its top left corner. */
export const Detection = Schema.Struct({
  label: Schema.String,
  score: Fraction,
  box: Schema.Struct({ x: Fraction, y: Fraction, width: Fraction, height: Fraction })
}).annotate({ identifier: "Detection" })
export interface Detection extends Schema.Schema.Type<typeof Detection> {}

export const InferenceStatus = Schema.Struct({
  deviceId: DeviceId,
  running: Schema.Boolean,
  modelId: Schema.NullOr(ModelId),
  cameraId: Schema.NullOr(CameraId),
  startedAt: Schema.NullOr(EdgeTime)
}).annotate({ identifier: "InferenceStatus" })
export interface InferenceStatus extends Schema.Schema.Type<typeof InferenceStatus> {}

export const InferenceResult = Schema.Struct({
  deviceId: DeviceId,
  modelId: ModelId,
  /** Counts the results since inference was started, from 1. */
  sequence: Schema.Natural,
  at: EdgeTime,
  latencyMillis: Schema.Finite,
  detections: Schema.Array(Detection)
}).annotate({ identifier: "InferenceResult" })
export interface InferenceResult extends Schema.Schema.Type<typeof InferenceResult> {}

/** `status` comes first and whenever inference is started or stopped; `result` for each frame. */
export const InferenceEvent = Schema.Union([
  EdgeEvent("status", InferenceStatus),
  EdgeEvent("result", InferenceResult)
])

/** The same over the WebSocket, a JSON text message each. */
export const InferenceMessage = Schema.Union([
  Schema.Struct({ type: Schema.Literal("status"), status: InferenceStatus }),
  Schema.Struct({ type: Schema.Literal("result"), result: InferenceResult })
]).annotate({ identifier: "InferenceMessage" })
export type InferenceMessage = typeof InferenceMessage.Type

export const ImageInference = Schema.Struct({
  deviceId: DeviceId,
  modelId: ModelId,
  latencyMillis: Schema.Finite,
  image: Schema.Struct({ width: Schema.Natural, height: Schema.Natural }),
  detections: Schema.Array(Detection)
}).annotate({ identifier: "ImageInference" })

const params = { deviceId: DeviceId }

export class InferenceApi extends HttpApiGroup.make("inference")
  .add(
    HttpApiEndpoint.post("start", "/devices/:deviceId/inference/start", {
      params,
      /** An empty body asks for the edge's own choice of camera. */
      payload: [Schema.Struct({ cameraId: Schema.optionalKey(CameraId) }), Schema.Null],
      success: InferenceStatus,
      error: [NotFound, Conflict]
    }).annotate(
      OpenApi.Summary,
      "Run the flashed model on a camera's frames; nothing happens where it already runs"
    ),
    HttpApiEndpoint.post("stop", "/devices/:deviceId/inference/stop", {
      params,
      success: InferenceStatus,
      error: NotFound
    }).annotate(OpenApi.Summary, "End it; nothing happens where it does not run"),
    HttpApiEndpoint.get("events", "/devices/:deviceId/inference/events", {
      params,
      success: HttpApiSchema.StreamSse({ events: InferenceEvent }),
      error: NotFound
    }).annotate(OpenApi.Summary, "`status` and `result` events; stays open while inference is stopped"),
    HttpApiEndpoint.get("socket", "/devices/:deviceId/inference/socket", {
      params,
      success: HttpApiSchema.Empty(101),
      error: [NotFound, UpgradeRequired]
    }).annotateMerge(
      OpenApi.annotations({
        summary: "The same as a WebSocket",
        description:
          'Each text message is JSON: {"type":"status","status":InferenceStatus} or {"type":"result","result":InferenceResult}. What the client sends is ignored.'
      })
    ),
    HttpApiEndpoint.post("infer", "/devices/:deviceId/infer", {
      params,
      payload: HttpApiSchema.StreamUint8Array({
        contentType: ["image/jpeg", "image/png"],
        maxBytes: maxImageBytes
      }),
      success: ImageInference,
      error: [NotFound, Conflict, PayloadTooLarge, UnsupportedMediaType]
    }).annotate(OpenApi.Summary, "One image in, what is seen in it out")
  )
  .annotateMerge(OpenApi.annotations({ title: "Inference" })) {}
