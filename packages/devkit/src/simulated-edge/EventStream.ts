/**
 * Answers with Server-Sent Events, encoded by the contract's schema for them, and a comment wherever the stream is
 * silent for long. What a reader does not take is not made: nothing is queued for it beyond a few events.
 */
import { keepAliveSeconds } from "@edge-relay/domain/edge-api/EdgeEvent"
import { Effect, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import { HttpServerResponse } from "effect/http"

/** Sent at once, so that the header reaches the reader before the first event does. */
const opening = ": open\n\n"
const keepAlive = Stream.map(Stream.tick(`${keepAliveSeconds} seconds`), () => ": still here\n\n").pipe(
  Stream.drop(1)
)

export const eventStream = <Event>(
  schema: Schema.Codec<
    Event,
    { readonly id?: string | undefined; readonly event: string; readonly data: string }
  >,
  events: Stream.Stream<Event>
): HttpServerResponse.HttpServerResponse => {
  const encode = Schema.encodeEffect(schema)
  const lines = events.pipe(
    Stream.mapEffect((event) => Effect.orDie(encode(event))),
    Stream.map(({ id, event, data }) => Sse.encoder.write({ _tag: "Event", event, id, data })),
    Stream.merge(keepAlive, { haltStrategy: "left" })
  )
  return HttpServerResponse.stream(Stream.encodeText(Stream.concat(Stream.succeed(opening), lines)), {
    contentType: "text/event-stream",
    headers: { "cache-control": "no-store" }
  })
}
