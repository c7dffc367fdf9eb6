import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { TokenScope } from "../access-tokens/TokenScope.ts"
import { NeededRole } from "../sign-in/Role.ts"
import { EdgeId } from "../ids/EdgeId.ts"
import {
  CrossSite,
  EdgeBusy,
  EdgeNotFound,
  EdgeOffline,
  EdgeRefused,
  EdgeReset,
  EdgeTimeout,
  Forbidden,
  InsufficientScope,
  NotFound,
  StorageUnavailable,
  Unauthorized,
  Unavailable,
  UpgradeRequired
} from "./Problem.ts"

/** The name of a service in an edge's tunnel: `http`, `ssh`. */
export const ServiceName = Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9-]{0,31}$/))

/**
 * Services of an edge that need not speak HTTP. Answered by the gateway, not by a handler: what comes of it is a byte
 * stream (`docs/protocol.md`).
 */
export class StreamsApi extends HttpApiGroup.make("streams")
  .add(
    HttpApiEndpoint.get("open", "/api/edges/:edgeId/services/:service/stream", {
      params: { edgeId: EdgeId, service: ServiceName },
      success: HttpApiSchema.Empty(101),
      error: [
        Unauthorized,
        InsufficientScope,
        Forbidden,
        CrossSite,
        EdgeNotFound,
        NotFound,
        UpgradeRequired,
        EdgeBusy,
        EdgeRefused,
        EdgeReset,
        EdgeOffline,
        EdgeTimeout,
        StorageUnavailable,
        Unavailable
      ]
    })
      .annotate(TokenScope, "forward")
      .annotate(NeededRole, "operator")
  )
  .annotateMerge(
    OpenApi.annotations({
      title: "Streams",
      description: "A byte stream to a service of an edge, by `Upgrade: edge-relay-stream` or by WebSocket."
    })
  ) {}
