/** Accelerators plugged into the edge: found by a scan, then connected before they can be flashed or can infer. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { EdgeList, EdgeListQuery } from "./EdgeList.ts"
import { Conflict, NotFound } from "./EdgeProblem.ts"
import { EdgeTime } from "./EdgeTime.ts"

/** Chosen by the edge; 1–64 of letters, digits, dot, hyphen and underscore, so that it needs no escaping. */
export const DeviceId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
    expected: "1 to 64 letters, digits, dots, hyphens and underscores"
  })
).pipe(Schema.brand("DeviceId"))
export type DeviceId = typeof DeviceId.Type

export const DeviceState = Schema.Literals(["disconnected", "connected", "flashing", "inferring"])
export type DeviceState = typeof DeviceState.Type

export const Device = Schema.Struct({
  id: DeviceId,
  name: Schema.String,
  vendor: Schema.String,
  model: Schema.String,
  serial: Schema.String,
  bus: Schema.String,
  firmwareVersion: Schema.String,
  state: DeviceState,
  /** The model it was last flashed with. */
  modelId: Schema.NullOr(Schema.String),
  lastSeenAt: EdgeTime
}).annotate({ identifier: "Device" })
export interface Device extends Schema.Schema.Type<typeof Device> {}

export const DeviceScan = Schema.Struct({
  scannedAt: EdgeTime,
  /** Those seen for the first time. */
  found: Schema.Array(DeviceId),
  items: Schema.Array(Device)
}).annotate({ identifier: "DeviceScan" })

const params = { deviceId: DeviceId }

export class DevicesApi extends HttpApiGroup.make("devices")
  .add(
    HttpApiEndpoint.get("list", "/devices", { query: EdgeListQuery, success: EdgeList(Device) }).annotate(
      OpenApi.Summary,
      "The devices known so far"
    ),
    HttpApiEndpoint.post("scan", "/devices/scan", { success: DeviceScan }).annotate(
      OpenApi.Summary,
      "Look for devices; answers when the scan has ended"
    ),
    HttpApiEndpoint.get("get", "/devices/:deviceId", { params, success: Device, error: NotFound }).annotate(
      OpenApi.Summary,
      "One device"
    ),
    HttpApiEndpoint.post("connect", "/devices/:deviceId/connect", {
      params,
      success: Device,
      error: NotFound
    }).annotate(OpenApi.Summary, "Take the device into use; nothing happens where it already is"),
    HttpApiEndpoint.post("disconnect", "/devices/:deviceId/disconnect", {
      params,
      success: Device,
      error: [NotFound, Conflict]
    }).annotate(OpenApi.Summary, "Let the device go and end its inference; refused while it is being flashed")
  )
  .annotateMerge(OpenApi.annotations({ title: "Devices" })) {}
