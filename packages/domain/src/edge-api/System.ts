/** The machine itself: what it is, how it does, and starting it again. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { DeviceId } from "./Devices.ts"
import { EdgeTime } from "./EdgeTime.ts"

const Percent = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 100 }))

export const EdgeInfo = Schema.Struct({
  name: Schema.String,
  vendor: Schema.String,
  model: Schema.String,
  serial: Schema.String,
  software: Schema.Struct({ name: Schema.String, version: Schema.String }),
  hostname: Schema.String,
  startedAt: EdgeTime
}).annotate({ identifier: "EdgeInfo" })
export interface EdgeInfo extends Schema.Schema.Type<typeof EdgeInfo> {}

export const AcceleratorLoad = Schema.Struct({
  deviceId: DeviceId,
  loadPercent: Percent,
  temperatureCelsius: Schema.NullOr(Schema.Finite)
})

export const EdgeMetrics = Schema.Struct({
  at: EdgeTime,
  uptimeSeconds: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  cpu: Schema.Struct({ cores: Schema.Natural, loadPercent: Percent }),
  memory: Schema.Struct({ totalBytes: Schema.Natural, usedBytes: Schema.Natural }),
  temperatureCelsius: Schema.NullOr(Schema.Finite),
  accelerators: Schema.Array(AcceleratorLoad)
}).annotate({ identifier: "EdgeMetrics" })
export interface EdgeMetrics extends Schema.Schema.Type<typeof EdgeMetrics> {}

export const Restart = Schema.Struct({
  requestedAt: EdgeTime,
  /** How long the edge expects to be away; 0 where it stays reachable. */
  downSeconds: Schema.Natural
}).annotate({ identifier: "Restart" })

/** Not named `system`, since the cloud's contract has a group of that name and mounts this one beside it. */
export class SystemApi extends HttpApiGroup.make("edgeSystem")
  .add(
    HttpApiEndpoint.get("info", "/system/info", { success: EdgeInfo }).annotate(
      OpenApi.Summary,
      "What this edge is"
    ),
    HttpApiEndpoint.get("metrics", "/system/metrics", { success: EdgeMetrics }).annotate(
      OpenApi.Summary,
      "CPU, memory, temperature and accelerator load, now"
    ),
    HttpApiEndpoint.post("restart", "/system/restart", {
      success: Restart.pipe(HttpApiSchema.status(202))
    }).annotate(OpenApi.Summary, "Start the edge again: all that runs ends, what is stored stays")
  )
  .annotateMerge(OpenApi.annotations({ title: "System" })) {}
