/** Writing a model to a device. One flash a device at a time; the last one stays readable until the next. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { DeviceId } from "./Devices.ts"
import { EdgeEvent } from "./EdgeEvent.ts"
import { Conflict, NotFound } from "./EdgeProblem.ts"
import { EdgeTime } from "./EdgeTime.ts"
import { ModelId } from "./Models.ts"

/** In the order they are passed; `done` follows the last. */
export const FlashStage = Schema.Literals([
  "preparing",
  "erasing",
  "writing",
  "verifying",
  "restarting",
  "done"
])
export type FlashStage = typeof FlashStage.Type

export const Flash = Schema.Struct({
  id: Schema.String,
  deviceId: DeviceId,
  modelId: ModelId,
  state: Schema.Literals(["running", "succeeded", "failed"]),
  stage: FlashStage,
  /** Of the whole, not of the stage; never falls. */
  percent: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 100 })),
  /** Why it failed, for people. */
  error: Schema.NullOr(Schema.String),
  startedAt: EdgeTime,
  endedAt: Schema.NullOr(EdgeTime)
}).annotate({ identifier: "Flash" })
export interface Flash extends Schema.Schema.Type<typeof Flash> {}

export const FlashEvent = EdgeEvent("progress", Flash)

const params = { deviceId: DeviceId }

export class FirmwareApi extends HttpApiGroup.make("firmware")
  .add(
    HttpApiEndpoint.post("flash", "/devices/:deviceId/flash", {
      params,
      payload: Schema.Struct({ modelId: ModelId }),
      success: Flash.pipe(HttpApiSchema.status(202)),
      error: [NotFound, Conflict]
    }).annotate(
      OpenApi.Summary,
      "Begin to write a model to a connected device; refused while it infers or is being flashed"
    ),
    HttpApiEndpoint.get("status", "/devices/:deviceId/flash", {
      params,
      success: Flash,
      error: NotFound
    }).annotate(OpenApi.Summary, "The running flash, or the last one"),
    HttpApiEndpoint.get("events", "/devices/:deviceId/flash/events", {
      params,
      success: HttpApiSchema.StreamSse({ events: FlashEvent }),
      error: NotFound
    }).annotate(
      OpenApi.Summary,
      "`progress` events of the running flash, or of the last one; the stream ends after the final one"
    )
  )
  .annotateMerge(OpenApi.annotations({ title: "Firmware" })) {}
