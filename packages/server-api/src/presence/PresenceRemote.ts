import { Presence } from "@edge-relay/domain/tunnels/Presence"
import type { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer, type Redacted } from "effect"
import { HttpClient } from "effect/http"
import * as FollowedProxies from "./FollowedProxies.ts"
import * as PresenceClient from "./PresenceClient.ts"

export interface PresenceRemoteOptions {
  readonly internalKey: Redacted.Redacted<string>
  /** As of `PresenceClient`. */
  readonly silenceMillis?: number
  /** As of `FollowedProxies`. */
  readonly listMillis?: number
}

/** The tunnels of proxies that are processes of their own, asked over their internal ports. */
export const layer = ({
  internalKey,
  listMillis,
  silenceMillis = SILENCE_MILLIS
}: PresenceRemoteOptions): Layer.Layer<Presence, never, SessionDirectory> =>
  Layer.effect(
    Presence,
    Effect.flatMap(HttpClient.HttpClient, (httpClient) =>
      FollowedProxies.make({
        listMillis,
        connect: (proxyUrl) => PresenceClient.make({ httpClient, internalKey, silenceMillis, proxyUrl })
      })
    )
  ).pipe(Layer.provide(NodeHttpClient.layerUndici))

const SILENCE_MILLIS = 40_000
