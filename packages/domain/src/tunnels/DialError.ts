import type { Duplex } from "node:stream"
import { Schema } from "effect"
import { EdgeId } from "../ids/EdgeId.ts"

/** Why a stream to an edge was not opened, and what one is that was. */

export class EdgeOffline extends Schema.TaggedError<EdgeOffline>()("EdgeOffline", { edgeId: EdgeId }) {
  override get message(): string {
    return `edge ${this.edgeId} has no tunnel`
  }
}

/** Its tunnel, or the edge itself, has as many streams open as it will. */
export class EdgeBusy extends Schema.TaggedError<EdgeBusy>()("EdgeBusy", {
  edgeId: EdgeId,
  detail: Schema.String
}) {
  override get message(): string {
    return `edge ${this.edgeId} is busy: ${this.detail}`
  }
}

/** The agent answered, and its local service did not take the connection. */
export class EdgeRefused extends Schema.TaggedError<EdgeRefused>()("EdgeRefused", {
  edgeId: EdgeId,
  service: Schema.String,
  refusal: Schema.Literals(["refused", "unreachable", "noSuchService"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `edge ${this.edgeId} did not connect to service ${this.service}: ${this.detail}`
  }
}

/** The tunnel broke, or the agent broke the stream off, before the local service was connected. */
export class EdgeReset extends Schema.TaggedError<EdgeReset>()("EdgeReset", { edgeId: EdgeId }) {
  override get message(): string {
    return `edge ${this.edgeId} broke the stream off`
  }
}

/** The agent did not say in time whether its local service is connected. */
export class EdgeTimeout extends Schema.TaggedError<EdgeTimeout>()("EdgeTimeout", {
  edgeId: EdgeId,
  service: Schema.String
}) {
  override get message(): string {
    return `edge ${this.edgeId} did not answer in time for service ${this.service}`
  }
}

/** What the proxy that holds the tunnel can tell, to the api as it is. That a proxy is unavailable is for others to say. */
export const EdgeDialReason = Schema.Union([EdgeOffline, EdgeBusy, EdgeRefused, EdgeReset, EdgeTimeout])
export type EdgeDialReason = typeof EdgeDialReason.Type

/** The proxy that holds the tunnel could not be asked, or answered what it should not. */
export class ProxyUnavailable extends Schema.TaggedError<ProxyUnavailable>()("ProxyUnavailable", {
  proxyUrl: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `proxy ${this.proxyUrl} unavailable`
  }
}

export class DialError extends Schema.TaggedError<DialError>()("DialError", {
  reason: Schema.Union([...EdgeDialReason.members, ProxyUnavailable])
}) {
  override get message(): string {
    return this.reason.message
  }
}

export interface EdgeStream {
  /** Half-close is kept. `destroy` before both directions ended resets the edge's local connection. */
  readonly stream: Duplex
  /** With `v1` the stream is good for one HTTP exchange, to be asked with `Connection: close`. */
  readonly protocol: "v1" | "v2"
}
