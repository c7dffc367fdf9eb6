import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import type { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import { decodeTunnelEvents, InternalApi } from "@edge-relay/protocol/InternalApi"
import type { TunnelEvent } from "@edge-relay/protocol/TunnelEvent"
import { Effect, type Redacted, Stream } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { HttpApiClient } from "effect/http-api"

/** What the api asks a proxy's internal port for, each with how long it waits. */
export interface PresenceClient {
  /** A snapshot of the proxy's tunnels, then each change. */
  readonly events: Stream.Stream<TunnelEvent, unknown>
  readonly list: Effect.Effect<ReadonlyArray<SessionSummary>, unknown>
  readonly get: (edgeId: EdgeId) => Effect.Effect<SessionSummary, unknown>
  /** Answers whether the edge had a tunnel there. */
  readonly close: (edgeId: EdgeId, reason: "disconnected" | "revoked") => Effect.Effect<boolean, unknown>
  /** Fails where the proxy does not answer. */
  readonly isAlive: Effect.Effect<void, unknown>
}

export interface PresenceClientOptions {
  readonly httpClient: HttpClient.HttpClient
  readonly internalKey: Redacted.Redacted<string>
  readonly proxyUrl: string
  /** Of the events, after which their connection counts as broken. A proxy says something every 15 seconds. */
  readonly silenceMillis: number
}

export const make = Effect.fnUntraced(function* ({
  httpClient,
  internalKey,
  proxyUrl,
  silenceMillis
}: PresenceClientOptions): Effect.fn.Return<PresenceClient> {
  const client = yield* HttpApiClient.group(InternalApi, {
    group: "sessions",
    httpClient: HttpClient.mapRequest(httpClient, HttpClientRequest.bearerToken(internalKey)),
    baseUrl: proxyUrl
  })
  return {
    events: client
      .events({ responseMode: "response-only" })
      .pipe(
        Effect.flatMap(HttpClientResponse.filterStatusOk),
        HttpClientResponse.stream,
        Stream.timeout(silenceMillis),
        Stream.decodeText(),
        decodeTunnelEvents
      ),
    list: Effect.timeout(client.list(), LIST_PATIENCE),
    get: (edgeId) => Effect.timeout(client.get({ params: { edgeId } }), "1 second"),
    close: (edgeId, reason) =>
      client.close({ params: { edgeId }, query: { reason } }).pipe(
        Effect.as(true),
        Effect.catchTag("edge_session_not_found", () => Effect.succeed(false)),
        Effect.timeout("3 seconds")
      ),
    isAlive: httpClient
      .get(`${proxyUrl}/healthz`)
      .pipe(Effect.flatMap(HttpClientResponse.filterStatusOk), Effect.timeout("3 seconds"), Effect.asVoid)
  }
})

const LIST_PATIENCE = "10 seconds"
