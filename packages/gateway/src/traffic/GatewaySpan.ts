import * as Tracing from "@edge-relay/server-kit/Tracing"
import { Context, Exit, Option, type Tracer } from "effect"
import type { RequestHead } from "../http/RequestHead.ts"

/**
 * A forwarded request's span, made by hand since no fiber runs it: from the request's arrival to the end of its
 * answer, the child of what the browser says in `traceparent`, and the parent of what the edge does.
 * Attributes are named by OpenTelemetry's semantic conventions for HTTP, our own begin with `edge_relay`.
 */

export interface Traced {
  readonly method: string
  readonly head: RequestHead
  readonly edgeId: string
  readonly requestId: string
  /** Without its query, which may hold secrets. */
  readonly path: string
}

/** Edge and path would make a name for each request: names are for grouping. */
const route = "/api/edges/:edgeId/*"

export const begin = (tracer: Tracer.Tracer, traced: Traced, startTime: bigint): Tracer.Span => {
  const parent = Tracing.parentOf(traced.head.traceparent)
  const span = tracer.span({
    name: `${traced.method} ${route}`,
    parent,
    annotations: Context.empty(),
    links: [],
    startTime,
    kind: "server",
    root: Option.isNone(parent),
    sampled: Option.isNone(parent) || parent.value.sampled
  })
  if (span.sampled) {
    span.attribute("http.request.method", traced.method)
    span.attribute("http.route", route)
    span.attribute("url.path", traced.path)
    span.attribute("edge_relay.edge_id", traced.edgeId)
    span.attribute("edge_relay.request_id", traced.requestId)
  }
  return span
}

/** The header lines that continue the trace at the edge. Another's `tracestate` is worth nothing without its parent. */
export const lines = (span: Tracer.Span, { tracestate }: RequestHead): string => {
  const traceparent = `traceparent: ${Tracing.traceparentOf(span)}\r\n`
  return tracestate === undefined || Option.isNone(span.parent)
    ? traceparent
    : `${traceparent}tracestate: ${tracestate}\r\n`
}

/** `status` is null where nobody answered, `cause` where the edge did. */
export const end = (
  span: Tracer.Span,
  status: number | null,
  cause: string | null,
  endTime: bigint
): void => {
  if (span.sampled) {
    if (status !== null) span.attribute("http.response.status_code", status)
    if (cause !== null) span.attribute("edge_relay.cause", cause)
  }
  span.end(endTime, exitOf(status, cause))
}

/** A refusal is no fault of a server's; an answer that broke off is one, though its status was good. */
const exitOf = (status: number | null, cause: string | null): Exit.Exit<void, string> => {
  if (cause === "client_closed") return Exit.interrupt()
  const isFault = status === null || status >= 500 || (cause !== null && status < 400)
  return isFault ? Exit.fail(cause ?? `status ${status}`) : Exit.void
}
