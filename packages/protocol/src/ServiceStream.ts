/**
 * How a program gets a byte stream to a service of an edge from the api: `GET /api/edges/:edgeId/services/:service/stream`
 * with an upgrade to either of these.
 *
 * - {@link STREAM_UPGRADE}: after 101 the connection is the stream. A half-close is TCP's (or TLS's) own.
 * - `websocket`: binary messages carry the bytes, however they are cut. With the subprotocol {@link STREAM_UPGRADE} a
 *   text message {@link END} says that its sender has no more to send; without it, the end of one direction closes both.
 *   What breaks off closes with {@link BROKEN_OFF}, and where the right to it has ended with {@link UNAUTHORIZED}.
 */
export const STREAM_UPGRADE = "edge-relay-stream"

export const END = "end"

/** RFC 6455 §7.4.1: internal error. */
export const BROKEN_OFF = 1011

/** RFC 6455 §7.4.1: policy violation. */
export const UNAUTHORIZED = 1008

export const pathOf = (edgeId: string, service: string): string =>
  `/api/edges/${encodeURIComponent(edgeId)}/services/${encodeURIComponent(service)}/stream`
