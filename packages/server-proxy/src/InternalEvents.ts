import type { ServerResponse } from "node:http"
import { Effect, Schedule, Schema, Stream } from "effect"
import { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import type { TunnelEvent } from "@edge-relay/tunnel/proxy/LiveTunnels"

/**
 * Server-Sent Events: one JSON object each, the first a snapshot. A reader that does not keep up is cut off, and
 * begins again with a snapshot: events are not kept for anybody.
 */
export const sendEvents = (
  response: ServerResponse,
  events: Stream.Stream<TunnelEvent>
): Effect.Effect<void> => {
  const write = (text: string) =>
    Effect.sync(() => {
      if (response.writableLength > MAX_BEHIND) response.destroy()
      else response.write(text)
    })
  const closed = Effect.callback<void>((resume) => {
    response.on("close", () => resume(Effect.void))
  })
  const beat = Effect.repeat(write(":\n\n"), Schedule.spaced("15 seconds"))
  return Effect.gen(function* () {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" })
    response.flushHeaders()
    yield* Stream.runForEach(events, (event) => write(`data: ${JSON.stringify(encode(event))}\n\n`)).pipe(
      Effect.raceFirst(beat),
      Effect.raceFirst(closed)
    )
  }).pipe(Effect.ensuring(Effect.sync(() => response.end())))
}

/** More than a snapshot of 20,000 tunnels, twice. */
const MAX_BEHIND = 32 * 1024 * 1024

const encodeSession = Schema.encodeSync(Schema.toCodecJson(SessionSummary))
const encodeSessions = Schema.encodeSync(Schema.toCodecJson(Schema.Array(SessionSummary)))

const encode = (event: TunnelEvent) => {
  if (event.type === "snapshot") return { ...event, sessions: encodeSessions(event.sessions) }
  if (event.type === "online") return { ...event, session: encodeSession(event.session) }
  return event
}
