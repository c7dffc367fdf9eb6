import { Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiError,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity
} from "effect/http-api"
import {
  EdgeBusy,
  EdgeOffline,
  EdgeRefused,
  EdgeReset,
  EdgeSessionNotFound,
  EdgeTimeout,
  InvalidRequest
} from "@edge-relay/domain/api/Problem"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import { LINK_PATH, LINK_PROTOCOL } from "./LinkProtocol.ts"
import { TunnelEvent } from "./TunnelEvent.ts"

/**
 * A proxy's internal port: its live tunnels, their events, and streams to them, for the api and for operators. The
 * proxy serves this value and the api derives its client from it. Health and metrics, which need no key, are beside it.
 */

export class InternalKeyRejected extends HttpApiError.Problem<InternalKeyRejected>()(
  "unauthorized",
  { type: "about:blank", status: 401, title: "Unauthorized" },
  { code: Schema.tag("unauthorized") }
) {}

/** Asks for the key that all servers of a cluster share (`INTERNAL_KEY`). */
export class InternalKey extends HttpApiMiddleware.Service<InternalKey>()(
  "@edge-relay/protocol/InternalApi/InternalKey",
  { error: InternalKeyRejected, security: { bearer: HttpApiSecurity.bearer } }
) {}

/** A request that its schema refuses is a problem, as everywhere in this project. */
export class InternalConventions extends HttpApiMiddleware.Service<InternalConventions>()(
  "@edge-relay/protocol/InternalApi/InternalConventions",
  { error: InvalidRequest }
) {}

/** One stream on a connection of its own: for operators, and programs that do not speak yamux. */
export const STREAM_PROTOCOL = "edge-relay-stream"

const params = { edgeId: EdgeId }

export class SessionsApi extends HttpApiGroup.make("sessions")
  .add(
    HttpApiEndpoint.get("list", "/internal/sessions", { success: Schema.Array(SessionSummary) }),
    HttpApiEndpoint.get("get", "/internal/sessions/:edgeId", {
      params,
      success: SessionSummary,
      error: EdgeSessionNotFound
    }),
    HttpApiEndpoint.delete("close", "/internal/sessions/:edgeId", {
      params,
      query: { reason: Schema.optionalKey(Schema.Literals(["disconnected", "revoked"])) },
      success: HttpApiSchema.NoContent,
      error: EdgeSessionNotFound
    }),
    // A snapshot, then each change; a comment every 15 seconds, so that silence means a broken connection.
    HttpApiEndpoint.get("events", "/internal/events", {
      success: HttpApiSchema.StreamSse({ data: TunnelEvent })
    })
  )
  .middleware(InternalKey)
  .middleware(InternalConventions) {}

export class StreamsApi extends HttpApiGroup.make("streams")
  .add(
    HttpApiEndpoint.get("link", LINK_PATH, { success: HttpApiSchema.Upgrade({ protocol: LINK_PROTOCOL }) }),
    HttpApiEndpoint.get("stream", "/internal/edges/:edgeId/stream", {
      params,
      query: { service: Schema.optionalKey(Schema.String) },
      headers: {
        traceparent: Schema.optionalKey(Schema.String),
        "x-request-id": Schema.optionalKey(Schema.String)
      },
      success: HttpApiSchema.Upgrade({
        protocol: STREAM_PROTOCOL,
        // What the edge speaks. A `v1` stream is good for one HTTP exchange.
        headers: { "edge-relay-protocol": Schema.Literals(["v1", "v2"]) }
      }),
      error: [EdgeOffline, EdgeBusy, EdgeRefused, EdgeReset, EdgeTimeout]
    })
  )
  .middleware(InternalKey)
  .middleware(InternalConventions) {}

export class InternalApi extends HttpApi.make("InternalApi").add(SessionsApi).add(StreamsApi) {}

// Events are encoded and decoded here, and not by what is derived from the contract, for the comments between them:
// the proxy writes them, and whoever reads must see that the connection is not silent.

/** One event as the events' endpoint writes it: UTF-8 text of a Server-Sent Event. */
export const encodeTunnelEvent = (event: TunnelEvent): string =>
  Sse.encoder.write({ _tag: "Event", event: "message", id: undefined, data: encodeData(event) })

/** The events in the text of a body. */
export const decodeTunnelEvents = <E>(text: Stream.Stream<string, E>) =>
  text.pipe(
    Stream.pipeThroughChannel(Sse.decode({ maxEventSize: MAX_SNAPSHOT })),
    Stream.mapEffect(({ data }) => decodeData(data))
  )

/** A hundred thousand tunnels in one event, in UTF-16 code units. */
const MAX_SNAPSHOT = 64 * 1024 * 1024

const decodeData = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(TunnelEvent)))
const encodeData = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(TunnelEvent)))
