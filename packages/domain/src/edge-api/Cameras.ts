/** Cameras of the edge: running ones give single JPEGs and an endless MJPEG stream. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { EdgeList, EdgeListQuery } from "./EdgeList.ts"
import { Conflict, NotFound } from "./EdgeProblem.ts"
import { EdgeTime } from "./EdgeTime.ts"

/** Chosen by the edge, of the same characters as a device's. */
export const CameraId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
    expected: "1 to 64 letters, digits, dots, hyphens and underscores"
  })
).pipe(Schema.brand("CameraId"))
export type CameraId = typeof CameraId.Type

export const Camera = Schema.Struct({
  id: CameraId,
  name: Schema.String,
  running: Schema.Boolean,
  width: Schema.Natural,
  height: Schema.Natural,
  framesPerSecond: Schema.Finite.check(Schema.isGreaterThan(0)),
  startedAt: Schema.NullOr(EdgeTime)
}).annotate({ identifier: "Camera" })
export interface Camera extends Schema.Schema.Type<typeof Camera> {}

const params = { cameraId: CameraId }

export class CamerasApi extends HttpApiGroup.make("cameras")
  .add(
    HttpApiEndpoint.get("list", "/cameras", { query: EdgeListQuery, success: EdgeList(Camera) }).annotate(
      OpenApi.Summary,
      "The edge's cameras"
    ),
    HttpApiEndpoint.post("start", "/cameras/:cameraId/start", {
      params,
      success: Camera,
      error: NotFound
    }).annotate(OpenApi.Summary, "Start it; nothing happens where it already runs"),
    HttpApiEndpoint.post("stop", "/cameras/:cameraId/stop", {
      params,
      success: Camera,
      error: NotFound
    }).annotate(OpenApi.Summary, "Stop it; its streams end"),
    HttpApiEndpoint.get("snapshot", "/cameras/:cameraId/snapshot", {
      params,
      success: Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array({ contentType: "image/jpeg" })),
      error: [NotFound, Conflict]
    }).annotate(OpenApi.Summary, "One frame, taken now, as JPEG; refused while the camera is stopped"),
    HttpApiEndpoint.get("stream", "/cameras/:cameraId/stream", {
      params,
      success: HttpApiSchema.StreamUint8Array({ contentType: "multipart/x-mixed-replace" }),
      error: [NotFound, Conflict]
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Motion JPEG, until the camera stops or the client goes away",
        description:
          "The content type names the boundary. Each part is one JPEG, with its Content-Type and Content-Length. A slow reader gets fewer frames."
      })
    )
  )
  .annotateMerge(OpenApi.annotations({ title: "Cameras" })) {}
