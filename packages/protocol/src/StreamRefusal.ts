import { Schema } from "effect"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { type DialError, EdgeBusy, EdgeOffline, EdgeRefused, EdgeReset, EdgeTimeout } from "./DialError.ts"

/** Why a proxy opened no stream, as it says so to an api: what {@link DialError} says, in RFC 9457's shape. */

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
export type LocalReason = Exclude<DialError["reason"], { readonly _tag: "ProxyUnavailable" }>

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
