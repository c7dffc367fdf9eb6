/** Clusters: devices of one edge that work together under one name. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { DeviceId } from "./Devices.ts"
import { EdgeEvent } from "./EdgeEvent.ts"
import { EdgeList, EdgeListQuery } from "./EdgeList.ts"
import { Conflict, NotFound } from "./EdgeProblem.ts"
import { EdgeTime } from "./EdgeTime.ts"
import { ModelId } from "./Models.ts"

/** Given by the edge. */
export const ClusterId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
    expected: "1 to 64 letters, digits, dots, hyphens and underscores"
  })
).pipe(Schema.brand("ClusterId"))
export type ClusterId = typeof ClusterId.Type

export const ClusterName = Schema.String.check(
  Schema.isBetweenLength(1, 100),
  Schema.isPattern(/^[^\p{Cc}\p{Cs}]*$/u, { expected: "text without control characters" })
)

/** 1–16 devices, none twice. */
export const ClusterDevices = Schema.Array(DeviceId).check(Schema.isBetweenLength(1, 16), Schema.isUnique())

export const Cluster = Schema.Struct({
  id: ClusterId,
  name: ClusterName,
  deviceIds: ClusterDevices,
  modelId: Schema.NullOr(ModelId),
  running: Schema.Boolean,
  createdAt: EdgeTime,
  startedAt: Schema.NullOr(EdgeTime)
}).annotate({ identifier: "Cluster" })
export interface Cluster extends Schema.Schema.Type<typeof Cluster> {}

export const ClusterLoad = Schema.Struct({
  clusterId: ClusterId,
  at: EdgeTime,
  resultsPerSecond: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  devices: Schema.Array(
    Schema.Struct({
      deviceId: DeviceId,
      loadPercent: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 100 }))
    })
  )
}).annotate({ identifier: "ClusterLoad" })
export interface ClusterLoad extends Schema.Schema.Type<typeof ClusterLoad> {}

/** `cluster` comes first and on every change; `load` each second while it runs. The stream ends with the cluster. */
export const ClusterEvent = Schema.Union([EdgeEvent("cluster", Cluster), EdgeEvent("load", ClusterLoad)])

export const NewCluster = Schema.Struct({
  name: ClusterName,
  deviceIds: ClusterDevices,
  modelId: Schema.optionalKey(Schema.NullOr(ModelId))
})

export const ClusterChanges = Schema.Struct({
  name: Schema.optionalKey(ClusterName),
  deviceIds: Schema.optionalKey(ClusterDevices),
  modelId: Schema.optionalKey(Schema.NullOr(ModelId))
})

const params = { clusterId: ClusterId }

export class ClustersApi extends HttpApiGroup.make("clusters")
  .add(
    HttpApiEndpoint.get("list", "/clusters", { query: EdgeListQuery, success: EdgeList(Cluster) }).annotate(
      OpenApi.Summary,
      "The clusters, oldest first"
    ),
    HttpApiEndpoint.post("create", "/clusters", {
      payload: NewCluster,
      success: Cluster.pipe(HttpApiSchema.status(201)),
      error: [NotFound, Conflict]
    }).annotate(OpenApi.Summary, "Make one; every device must be known and in no other cluster"),
    HttpApiEndpoint.get("get", "/clusters/:clusterId", {
      params,
      success: Cluster,
      error: NotFound
    }).annotate(OpenApi.Summary, "One cluster"),
    HttpApiEndpoint.patch("update", "/clusters/:clusterId", {
      params,
      payload: ClusterChanges,
      success: Cluster,
      error: [NotFound, Conflict]
    }).annotate(OpenApi.Summary, "Change what is named; a running one only takes a new name"),
    HttpApiEndpoint.delete("remove", "/clusters/:clusterId", {
      params,
      success: HttpApiSchema.NoContent,
      error: [NotFound, Conflict]
    }).annotate(OpenApi.Summary, "Remove it; refused while it runs"),
    HttpApiEndpoint.post("start", "/clusters/:clusterId/start", {
      params,
      success: Cluster,
      error: [NotFound, Conflict]
    }).annotate(OpenApi.Summary, "Start it; its devices must be connected"),
    HttpApiEndpoint.post("stop", "/clusters/:clusterId/stop", {
      params,
      success: Cluster,
      error: NotFound
    }).annotate(OpenApi.Summary, "Stop it; nothing happens where it does not run"),
    HttpApiEndpoint.get("events", "/clusters/:clusterId/events", {
      params,
      success: HttpApiSchema.StreamSse({ events: ClusterEvent }),
      error: NotFound
    }).annotate(OpenApi.Summary, "`cluster` and `load` events")
  )
  .annotateMerge(OpenApi.annotations({ title: "Clusters" })) {}
