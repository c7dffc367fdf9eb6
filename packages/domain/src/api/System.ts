import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { TokenScope } from "../access-tokens/TokenScope.ts"
import { NeededRole } from "../sign-in/Role.ts"
import { Authorization } from "./Authorization.ts"
import { BodyRules, Conventions } from "./Conventions.ts"
import { Timestamp } from "./Timestamp.ts"

export const SystemInfo = Schema.Struct({
  version: Schema.String,
  node: Schema.String,
  tunnelUrl: Schema.String,
  limits: Schema.Struct({
    jsonBodyBytes: Schema.Int,
    streamsPerEdge: Schema.Int,
    firstByteSeconds: Schema.Int,
    pageItems: Schema.Int
  })
}).annotate({ identifier: "SystemInfo" })

/** Of this tenant; `lastHour` has up to 60 steps of a minute, oldest first. */
export const SystemStats = Schema.Struct({
  edges: Schema.Int,
  online: Schema.Int,
  streams: Schema.Int,
  requestsPerSecond: Schema.Finite,
  bytesPerSecond: Schema.Finite,
  lastHour: Schema.Array(Schema.Struct({ at: Timestamp, requests: Schema.Int, bytes: Schema.Int }))
}).annotate({ identifier: "SystemStats" })

export class SystemApi extends HttpApiGroup.make("system")
  .add(
    HttpApiEndpoint.get("info", "/api/system/info", { success: SystemInfo }).annotate(
      TokenScope,
      "edges:read"
    ),
    HttpApiEndpoint.get("stats", "/api/system/stats", { success: SystemStats }).annotate(
      TokenScope,
      "edges:read"
    )
  )
  .annotateEndpoints(NeededRole, "viewer")
  .middleware(BodyRules)
  .middleware(Authorization)
  .middleware(Conventions)
  .annotateMerge(OpenApi.annotations({ title: "System", description: "Versions, limits, counts." })) {}

const Health = Schema.Struct({ status: Schema.Literal("ok") }).annotate({ identifier: "Health" })

const Lacking = Schema.Array(Schema.Struct({ name: Schema.String, reason: Schema.String }))

/** What keeps this server from serving, and what every server of its kind lacks at the moment: by name, and why. */
export const Readiness = Schema.Struct({
  status: Schema.Literals(["ready", "degraded", "not_ready"]),
  missing: Lacking,
  degraded: Lacking
}).annotate({ identifier: "Readiness" })

export class HealthApi extends HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("alive", "/healthz", { success: Health }),
    HttpApiEndpoint.get("ready", "/readyz", {
      success: [Readiness, Readiness.pipe(HttpApiSchema.status(503))]
    })
  )
  .annotateMerge(OpenApi.annotations({ title: "Health", description: "For whoever runs it." })) {}
