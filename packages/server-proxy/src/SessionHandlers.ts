import { type Cause, Effect, Option, Queue, Schedule, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiMiddleware } from "effect/http-api"
import { EdgeSessionNotFound, InvalidRequest } from "@edge-relay/domain/api/Problem"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { SessionStore } from "@edge-relay/domain/tunnels/SessionStore"
import { encodeTunnelEvent, InternalApi, InternalConventions } from "@edge-relay/protocol/InternalApi"
import type { TunnelEvent } from "@edge-relay/protocol/TunnelEvent"
import { TunnelServer } from "@edge-relay/tunnel/proxy/TunnelServer"

/** The live tunnels of this proxy: listed, shown, closed, and followed. */
export const layer = HttpApiBuilder.group(
  InternalApi,
  "sessions",
  Effect.fnUntraced(function* (handlers) {
    const tunnels = yield* TunnelServer
    const store = yield* SessionStore
    return handlers.handleAll({
      list: () => store.list,
      get: ({ params: { edgeId } }) =>
        Effect.flatMap(
          store.lookupEdge(edgeId),
          Option.match({
            onNone: () => Effect.fail(offline(edgeId)),
            onSome: (handle) => Effect.succeed(handle.summary())
          })
        ),
      close: Effect.fnUntraced(function* ({ params: { edgeId }, query: { reason = "disconnected" } }) {
        const closed = yield* tunnels.close((token) => token.edgeId === edgeId, reason)
        if (!closed) return yield* offline(edgeId)
      }),
      events: () => Effect.succeed(eventStream(tunnels.events))
    })
  })
)

export const layerConventions = HttpApiMiddleware.layerSchemaErrorTransform(
  InternalConventions,
  ({ cause, kind }) =>
    // An answer that its own schema refuses is our bug.
    kind === "Body" || kind === "ResponseHeaders"
      ? Effect.die(cause)
      : Effect.fail(new InvalidRequest({ detail: `${kind.toLowerCase()}: ${cause.message.slice(0, 500)}` }))
)

const offline = (edgeId: EdgeId) => new EdgeSessionNotFound({ detail: `edge ${edgeId} has no tunnel` })

/**
 * Written here and not by the contract's encoder, for the comments. A reader that does not keep up is cut off, and
 * begins again with a snapshot: events are not kept for anybody.
 */
export const eventStream = (
  events: Stream.Stream<TunnelEvent>,
  maxBehind = MAX_BEHIND
): HttpServerResponse.HttpServerResponse => {
  const texts = Stream.merge(Stream.map(events, encodeTunnelEvent), comments)
  const bytes = Stream.callback<Uint8Array, TooSlow | Cause.Done>(
    (queue) =>
      Stream.runForEach(Stream.encodeText(texts), (text) =>
        Effect.flatMap(Queue.offer(queue, text), (isTaken) =>
          isTaken ? Effect.void : Queue.fail(queue, "a reader of events does not keep up")
        )
      ),
    { bufferSize: maxBehind, strategy: "dropping" }
  )
  return HttpServerResponse.stream(bytes, {
    contentType: "text/event-stream",
    headers: { "cache-control": "no-store" }
  })
}

type TooSlow = "a reader of events does not keep up"

const comments = Stream.fromSchedule(Schedule.spaced("15 seconds")).pipe(Stream.map(() => ":\n\n"))

/** Events: some 10 MB, and once more what a snapshot of all tunnels takes. */
const MAX_BEHIND = 20_000
