import { randomUUID } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { Context, Effect } from "effect"

/** 1–128 printable ASCII characters without spaces. Two headers of the name arrive joined by ", ": refused. */
const acceptable = /^[\x21-\x7e]{1,128}$/

export const isAcceptable = (id: string): boolean => acceptable.test(id)

/**
 * Gives a request its id: the caller's own where that is fit to be logged, a new one otherwise. It is written
 * back into the request's headers, both forms of them, which is where everything further in reads it.
 */
export const assign = (request: IncomingMessage): string => {
  const sent = request.headers["x-request-id"]
  if (typeof sent === "string" && isAcceptable(sent)) return sent
  const id = randomUUID()
  request.headers["x-request-id"] = id
  const raw = request.rawHeaders
  if (sent !== undefined) {
    for (let index = raw.length - 2; index >= 0; index -= 2) {
      if (raw[index]?.toLowerCase() === "x-request-id") raw.splice(index, 2)
    }
  }
  raw.push("X-Request-Id", id)
  return id
}

/** The id of a request that `assign` has seen. */
export const of = (headers: { readonly [name: string]: string | undefined }): string =>
  headers["x-request-id"] ?? ""

/** Of the request that something is done for, where it is for one: it goes along to proxy and agent. */
export const Current = Context.Reference<string | undefined>("@edge-relay/server-kit/RequestId/Current", {
  defaultValue: () => undefined
})

/** Does it for that request, whose id is in each of its log lines. */
export const during =
  (requestId: string | undefined) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    requestId === undefined
      ? effect
      : effect.pipe(Effect.provideService(Current, requestId), Effect.annotateLogs({ requestId }))
