import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { HidesBeyondReach, TokenScope } from "../access-tokens/TokenScope.ts"
import { NeededRole } from "../sign-in/Role.ts"
import { EdgeId } from "../ids/EdgeId.ts"
import { LocalServer } from "../tunnels/LocalServer.ts"
import { Authorization } from "./Authorization.ts"
import { BodyRules, ChangeLimit, Conventions } from "./Conventions.ts"
import { Page, pageQuery } from "./Page.ts"
import { EdgeName } from "./PlainText.ts"
import { EdgeNotFound, EdgeSessionNotFound, TooManyRequests, Unavailable } from "./Problem.ts"
import { Timestamp } from "./Timestamp.ts"
import { WithinReach } from "./WithinReach.ts"

export const Label = Schema.String.check(Schema.isPattern(/^[\w.:=/-]{1,63}$/))

/** What an edge's agent offers. */
export const EdgeService = Schema.Struct({
  name: Schema.String,
  /** Where browsers find it: null where it is not known to speak HTTP, or the server has no `EDGE_DOMAIN`. */
  url: Schema.NullOr(Schema.String),
  /** Which address it reads in `Host`, `Origin` and `Referer` there; null where its agent has not said. */
  hostHeader: Schema.NullOr(LocalServer.fields.hostHeader)
}).annotate({ identifier: "EdgeService" })

/** The live tunnel of an edge, as its proxy last told. Bytes are of streams' payload, since it connected. */
export const EdgeSession = Schema.Struct({
  connectedAt: Timestamp,
  lastHeartbeatAt: Timestamp,
  protocol: Schema.Literals(["v1", "v2"]),
  agent: Schema.NullOr(Schema.String),
  hostname: Schema.NullOr(Schema.String),
  services: Schema.Array(EdgeService),
  remoteAddress: Schema.NullOr(Schema.String),
  roundTripMillis: Schema.NullOr(Schema.Finite),
  streams: Schema.Int,
  bytesIn: Schema.Int,
  bytesOut: Schema.Int,
  proxyId: Schema.String
}).annotate({ identifier: "EdgeSession" })

export const EdgeView = Schema.Struct({
  id: EdgeId,
  name: Schema.String,
  labels: Schema.Array(Schema.String),
  createdAt: Timestamp,
  /** The edge on a host of its own, for browsers; null where the server has no `EDGE_DOMAIN`. */
  url: Schema.NullOr(Schema.String),
  online: Schema.Boolean,
  /** Two machines fight for this edge's token. */
  contended: Schema.Boolean,
  session: Schema.NullOr(EdgeSession)
}).annotate({ identifier: "Edge" })

/** A forwarded request, as it ended. `cause` is null where the edge answered. */
export const ForwardedRequest = Schema.Struct({
  requestId: Schema.String,
  at: Timestamp,
  method: Schema.String,
  path: Schema.String,
  status: Schema.NullOr(Schema.Int),
  cause: Schema.NullOr(Schema.String),
  millis: Schema.Finite,
  bytesIn: Schema.Int,
  bytesOut: Schema.Int
}).annotate({ identifier: "ForwardedRequest" })

export const edgeEventTypes = [
  "edge.online",
  "edge.offline",
  "edge.updated",
  "edge.removed",
  "edge.contended"
] as const

/** An event of the tenant's edges; `id` is what `Last-Event-ID` resumes from. */
export const EdgeEvent = Schema.Struct({
  id: Schema.optional(Schema.String),
  event: Schema.Literals(edgeEventTypes),
  data: Schema.fromJsonString(Schema.Struct({ edgeId: EdgeId, edge: Schema.NullOr(EdgeView) }))
})

const params = { edgeId: EdgeId }

export class EdgesApi extends HttpApiGroup.make("edges")
  .add(
    HttpApiEndpoint.get("list", "/api/edges", {
      query: {
        ...pageQuery,
        online: Schema.optionalKey(Schema.Literals(["true", "false"])),
        label: Schema.optionalKey(Label),
        q: Schema.optionalKey(Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(100)))
      },
      success: Page(EdgeView)
    })
      .annotate(NeededRole, "viewer")
      .annotate(TokenScope, "edges:read")
      .annotate(HidesBeyondReach, true),
    HttpApiEndpoint.get("events", "/api/edges/events", {
      headers: { "last-event-id": Schema.optionalKey(Schema.String.check(Schema.isMaxLength(128))) },
      success: HttpApiSchema.StreamSse({ events: EdgeEvent }),
      error: TooManyRequests
    })
      .annotate(NeededRole, "viewer")
      .annotate(TokenScope, "edges:read"),
    HttpApiEndpoint.get("get", "/api/edges/:edgeId", {
      params,
      success: EdgeView,
      error: EdgeNotFound
    })
      .annotate(NeededRole, "viewer")
      .annotate(TokenScope, "edges:read"),
    HttpApiEndpoint.patch("update", "/api/edges/:edgeId", {
      params,
      payload: Schema.Struct({
        name: Schema.optionalKey(EdgeName),
        labels: Schema.optionalKey(Schema.Array(Label).check(Schema.isMaxLength(32)))
      }),
      success: EdgeView,
      error: EdgeNotFound
    })
      .annotate(NeededRole, "operator")
      .annotate(TokenScope, "edges:write"),
    HttpApiEndpoint.delete("remove", "/api/edges/:edgeId", {
      params,
      success: HttpApiSchema.NoContent,
      error: EdgeNotFound
    }).annotate(TokenScope, "edges:write"),
    HttpApiEndpoint.get("session", "/api/edges/:edgeId/session", {
      params,
      success: EdgeSession,
      error: [EdgeNotFound, EdgeSessionNotFound]
    })
      .annotate(NeededRole, "viewer")
      .annotate(TokenScope, "edges:read"),
    HttpApiEndpoint.post("disconnect", "/api/edges/:edgeId/disconnect", {
      params,
      success: HttpApiSchema.NoContent,
      error: [EdgeNotFound, EdgeSessionNotFound, Unavailable]
    })
      .annotate(NeededRole, "operator")
      .annotate(TokenScope, "edges:write"),
    HttpApiEndpoint.post("rotateToken", "/api/edges/:edgeId/token/rotate", {
      params,
      success: Schema.Struct({ token: Schema.String }),
      error: EdgeNotFound
    }).annotate(TokenScope, "pairing"),
    HttpApiEndpoint.get("traffic", "/api/edges/:edgeId/traffic", {
      params,
      success: Schema.Struct({ items: Schema.Array(ForwardedRequest), nextCursor: Schema.Null }),
      error: EdgeNotFound
    })
      .annotate(NeededRole, "viewer")
      .annotate(TokenScope, "edges:read")
  )
  .middleware(BodyRules)
  .middleware(WithinReach)
  .middleware(ChangeLimit)
  .middleware(Authorization)
  .middleware(Conventions)
  .annotateMerge(
    OpenApi.annotations({ title: "Edges", description: "The tenant's edges and their tunnels." })
  ) {}
