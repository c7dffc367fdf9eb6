import { Schema } from "effect"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { EdgeDialReason } from "@edge-relay/domain/tunnels/DialError"
import { INITIAL_WINDOW } from "@edge-relay/yamux/Frame"
import type { SessionOptions } from "@edge-relay/yamux/SessionOptions"

/**
 * The link from an api to a proxy: one connection to the proxy's internal port, upgraded to yamux, for all streams
 * to the edges that the proxy holds. A stream begins with a {@link Dial} from the api and the proxy's answer, each
 * JSON behind its length; what follows is the edge's own bytes.
 */

export const LINK_PROTOCOL = "edge-relay-link"

export const LINK_PATH = "/internal/streams"

/** Which stream is wanted. */
export const Dial = Schema.Struct({
  edgeId: EdgeId,
  service: Schema.String,
  /** Of the request that the stream is for: it is in the log lines of the proxy and the agent. */
  requestId: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(128))),
  /** The trace that the proxy's part of it belongs to (W3C Trace Context). */
  traceparent: Schema.optionalKey(Schema.String)
})
export type Dial = typeof Dial.Type

export const decodeDial = Schema.decodeUnknownOption(Schema.fromJsonString(Dial))

export const encodeDial: (dial: Dial) => string = Schema.encodeSync(Schema.fromJsonString(Dial))

/** Of either message, in bytes. */
export const MAX_MESSAGE = 16 * 1024

/** The proxy's answer: the stream is open and this is what the edge speaks, or why there is none. */
export const LinkAnswer = Schema.Union([
  Schema.Struct({ protocol: Schema.Literals(["v1", "v2"]) }),
  ...EdgeDialReason.members
])
export type LinkAnswer = typeof LinkAnswer.Type

const LinkAnswerJson = Schema.fromJsonString(Schema.toCodecJson(LinkAnswer))

export const encodeAnswer: (answer: LinkAnswer) => string = Schema.encodeSync(LinkAnswerJson)

/** None where it is no answer of ours. */
export const decodeAnswer = Schema.decodeUnknownOption(LinkAnswerJson)

/**
 * Both ends are ours and near each other: windows grow to 1 MiB, which is the most that a browser that stops reading
 * costs each server, and no stream is taken for an attack. Bounds on streams are those of edges and ports.
 */
export const linkOptions: Partial<SessionOptions> = {
  maxStreams: 100_000,
  acceptBacklog: 100_000,
  maxFramePayload: 64 * 1024,
  maxWindow: 4 * INITIAL_WINDOW,
  sessionBudget: 1024 * 1024 * 1024,
  resetBurst: 1_000_000,
  resetsPerSecond: 1_000_000,
  uselessFrameBurst: 100_000_000,
  uselessFramesPerSecond: 10_000_000,
  keepAliveMillis: 10_000,
  keepAliveTimeoutMillis: 10_000
}
