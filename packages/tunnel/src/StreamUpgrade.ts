import { Schema } from "effect"
import type { EdgeId } from "@edge-relay/domain/Edges"
import { type DialError, EdgeBusy, EdgeOffline, EdgeRefused, EdgeReset, EdgeTimeout } from "./DialError.ts"
import type { ProtocolVersion } from "./TunnelProtocol.ts"

/**
 * How a server asks a proxy for a stream to an edge, over the proxy's internal port: an HTTP upgrade whose 101
 * is followed by the stream's own bytes, and whose refusals say what {@link DialError} says.
 */

export const STREAM_PROTOCOL = "edge-relay-stream"

/** On the 101: what the edge speaks. A `v1` stream is good for one HTTP exchange. */
export const PROTOCOL_HEADER = "edge-relay-protocol"

/** On the 101: what the stream is cancelled by, at {@link cancelPath}. */
export const STREAM_HEADER = "edge-relay-stream-id"

export const cancelPath = (streamId: string): string => `/internal/streams/${streamId}`

export const protocolOf = (header: string | ReadonlyArray<string> | undefined): ProtocolVersion =>
  header === "v1" ? "v1" : "v2"

export const streamPath = (edgeId: EdgeId, service: string): string =>
  `/internal/edges/${edgeId}/stream?service=${encodeURIComponent(service)}`

/** The body of a refusal (RFC 9457), without `type` and `title`. */
const Refusal = Schema.Union([
  Schema.Struct({ code: Schema.Literal("edge_offline") }),
  Schema.Struct({ code: Schema.Literal("edge_busy"), detail: Schema.String }),
  Schema.Struct({
    code: Schema.Literal("edge_refused"),
    detail: Schema.String,
    refusal: EdgeRefused.fields.refusal
  }),
  Schema.Struct({ code: Schema.Literal("edge_reset") }),
  Schema.Struct({ code: Schema.Literal("edge_timeout") })
])
type Refusal = typeof Refusal.Type

/** What a proxy itself can tell; that it is unavailable is for others to say. */
type LocalReason = Exclude<DialError["reason"], { readonly _tag: "ProxyUnavailable" }>

export const encodeRefusal = (
  reason: LocalReason
): { readonly status: number; readonly body: Refusal & { readonly detail: string } } => {
  const detail = reason.message
  switch (reason._tag) {
    case "EdgeOffline":
      return { status: 404, body: { code: "edge_offline", detail } }
    case "EdgeBusy":
      return { status: 429, body: { code: "edge_busy", detail: reason.detail } }
    case "EdgeRefused":
      return { status: 502, body: { code: "edge_refused", detail: reason.detail, refusal: reason.refusal } }
    case "EdgeReset":
      return { status: 502, body: { code: "edge_reset", detail } }
    case "EdgeTimeout":
      return { status: 504, body: { code: "edge_timeout", detail } }
  }
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Refusal))

/** The reason in a refusal's body; none where it is not a refusal of ours. */
export const decodeRefusal = (edgeId: EdgeId, service: string, body: string): LocalReason | undefined => {
  const decoded = decode(body)
  if (decoded._tag === "None") return undefined
  const refusal = decoded.value
  switch (refusal.code) {
    case "edge_offline":
      return new EdgeOffline({ edgeId })
    case "edge_busy":
      return new EdgeBusy({ edgeId, detail: refusal.detail })
    case "edge_refused":
      return new EdgeRefused({ edgeId, service, refusal: refusal.refusal, detail: refusal.detail })
    case "edge_reset":
      return new EdgeReset({ edgeId })
    case "edge_timeout":
      return new EdgeTimeout({ edgeId, service })
  }
}
