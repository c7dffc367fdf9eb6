import { Schema } from "effect"
import { LocalServer } from "@edge-relay/domain/tunnels/LocalServer"
import * as PrefixedText from "./PrefixedText.ts"

/**
 * What the two ends of a tunnel say to each other above yamux: the WebSocket's subprotocols and close codes,
 * the control stream's messages, and the few bytes that open a data stream.
 */

export const TUNNEL_PATH = "/tunnel/connect"

export type ProtocolVersion = "v1" | "v2"

/** `Sec-WebSocket-Protocol`, newest first. A client that offers none is of the first generation. */
export const subprotocols = {
  "edge-relay.v2": "v2",
  "edge-relay.v1": "v1"
} as const satisfies Record<string, ProtocolVersion>

export type Subprotocol = keyof typeof subprotocols

export const isSubprotocol = (name: string): name is Subprotocol => Object.hasOwn(subprotocols, name)

/** Why the WebSocket was closed; 4000 to 4999 are an application's own (RFC 6455 §7.4.2). */
export const CloseCode = {
  draining: 1001,
  displaced: 4001,
  revoked: 4003,
  heartbeatTimeout: 4008,
  protocolError: 4009,
  overLimit: 4013
} as const

// The control stream: one JSON object a line, both ways.

/** Past it the line is a protocol error: nobody buffers without bound for an unauthenticated talker. */
export const MAX_CONTROL_LINE = 64 * 1024

const ShortText = Schema.String.check(Schema.isMaxLength(255))

const OfferedServices = Schema.Array(
  Schema.Struct({
    name: ShortText,
    /** Of one that speaks HTTP: its address, and which one it wants to read in requests. */
    local: Schema.optionalKey(LocalServer)
  })
).check(Schema.isMaxLength(256))
export type OfferedServices = typeof OfferedServices.Type

/** The first line of an agent. */
export const Hello = Schema.Struct({
  type: Schema.tag("hello"),
  agent: Schema.optionalKey(ShortText),
  /**
   * Made at random by each agent that runs, the same in all its tunnels. By it two that use one token are told apart,
   * also where one machine is a copy of the other.
   */
  instanceId: Schema.optionalKey(ShortText),
  hostname: Schema.optionalKey(ShortText),
  os: Schema.optionalKey(ShortText),
  arch: Schema.optionalKey(ShortText),
  services: Schema.optionalKey(OfferedServices),
  /** It reads a request's id in prefaces. */
  requestIds: Schema.optionalKey(Schema.Boolean)
})
export type Hello = typeof Hello.Type

/** From an agent, whenever it offers others than it said before. */
export const ServicesChanged = Schema.Struct({ type: Schema.tag("services"), services: OfferedServices })
export type ServicesChanged = typeof ServicesChanged.Type

/** The cloud's answer, once the tunnel is registered. */
export const Welcome = Schema.Struct({
  type: Schema.tag("welcome"),
  edgeId: Schema.String,
  heartbeatSeconds: Schema.Finite,
  maxStreams: Schema.Int,
  /** Prefaces have a request's id, where they are for one: only where the agent has said that it reads it. */
  requestIds: Schema.optionalKey(Schema.Boolean)
})
export type Welcome = typeof Welcome.Type

/** Dial anew after the delay; leave this connection's streams to finish. */
export const Drain = Schema.Struct({
  type: Schema.tag("drain"),
  reconnectAfterMillis: Schema.Finite,
  graceSeconds: Schema.Finite
})
export type Drain = typeof Drain.Type

// A data stream of v2 begins with a preface from the cloud and one status byte from the agent.

export const DEFAULT_SERVICE = "http"

/** A big-endian 16-bit length and the service's name in UTF-8; where agreed on, a line feed and a request's id. */
export const encodePreface = (service: string, requestId?: string): Buffer =>
  PrefixedText.encode(requestId === undefined ? service : `${service}\n${requestId}`)

/** No service has a line feed in its name. */
export const splitPreface = (
  text: string
): { readonly service: string; readonly requestId: string | undefined } => {
  const at = text.indexOf("\n")
  return at === -1
    ? { service: text, requestId: undefined }
    : { service: text.slice(0, at), requestId: text.slice(at + 1) }
}

/** The agent's first byte on a data stream. All but `connected` are followed by a reason and a close. */
export const StatusByte = { connected: 0, refused: 1, unreachable: 2, noSuchService: 3, busy: 4 } as const

export type Refusal = Exclude<keyof typeof StatusByte, "connected">

const refusals: Readonly<Record<number, Refusal>> = {
  [StatusByte.refused]: "refused",
  [StatusByte.unreachable]: "unreachable",
  [StatusByte.noSuchService]: "noSuchService",
  [StatusByte.busy]: "busy"
}

export interface DecodedRefusal {
  readonly refusal: Refusal | "unknown"
  readonly reason: string
}

export const encodeConnected = (): Buffer => Buffer.from([StatusByte.connected])

export const encodeRefusal = (refusal: Refusal, reason: string): Buffer =>
  Buffer.concat([Buffer.from([StatusByte[refusal]]), PrefixedText.encode(reason)])

/** What an answer that does not begin with `connected` says; undefined while incomplete. */
export const decodeRefusal = (bytes: Buffer): DecodedRefusal | undefined => {
  const byte = bytes[0]
  if (byte === undefined) return undefined
  const refusal = refusals[byte]
  if (refusal === undefined) return { refusal: "unknown", reason: `status byte ${byte}` }
  const reason = PrefixedText.decode(bytes, 1)
  return reason && { refusal, reason: reason.value }
}
