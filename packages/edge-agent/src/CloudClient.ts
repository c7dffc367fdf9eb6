import { outboundProxy, type ProxyEnvironment, resolveProxy } from "@edge-relay/tunnel/agent/OutboundProxy"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { Agent as HttpAgent } from "node:http"
import { Agent as HttpsAgent } from "node:https"
import * as Authorities from "./Authorities.ts"

/**
 * An HTTP client for the cloud at `url`: through the proxy that the environment names for it, as the tunnel goes, and
 * with the given authorities in place of the system's.
 */
export const cloudClient = (options: {
  readonly url: URL
  readonly caFile: string | undefined
  readonly environment: ProxyEnvironment
}) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      HttpClient.transform((response, request) =>
        Effect.timeoutOrElse(response, {
          duration: "30 seconds",
          orElse: () =>
            Effect.fail(
              new HttpClientError.HttpClientError({
                reason: new HttpClientError.TransportError({ request, cause: new NoAnswer() })
              })
            )
        })
      )
    )
  ).pipe(
    Layer.provide(NodeHttpClient.layerNodeHttpNoAgent),
    Layer.provide(Layer.effect(NodeHttpClient.HttpAgent, agents(options)))
  )

const agents = ({ caFile, environment, url }: Parameters<typeof cloudClient>[0]) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const tls = caFile === undefined ? {} : { ca: yield* Authorities.read(caFile) }
      yield* resolveProxy(url, environment)
      const proxy = outboundProxy(url, environment, tls)
      return { http: proxy ?? new HttpAgent(), https: proxy ?? new HttpsAgent(tls) }
    }),
    ({ http, https }) =>
      Effect.sync(() => {
        http.destroy()
        https.destroy()
      })
  )

class NoAnswer extends Error {
  readonly code = "ETIMEDOUT"
}
