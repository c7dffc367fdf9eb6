import { Credentials as Granted, EdgePairingApi, NewRequest } from "@edge-relay/domain/api/Pairing"
import { Context, Duration, Effect, Layer, Redacted, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApi, HttpApiClient } from "effect/http-api"
import * as NetworkProblem from "./NetworkProblem.ts"

/** How an edge asks the cloud for its credentials, and gives them up. */

/** The cloud said no, or could not be asked. The message is for a person. */
export class PairingFailed extends Schema.TaggedError<PairingFailed>()("PairingFailed", {
  message: Schema.String
}) {}

export type Granted = typeof Granted.Type

export class Pairing extends Context.Service<
  Pairing,
  {
    readonly exchange: (request: {
      readonly code: string
      readonly hostname: string
      readonly name?: string
    }) => Effect.Effect<Granted, PairingFailed>
    readonly begin: (request: {
      readonly hostname: string
      readonly name?: string
    }) => Effect.Effect<typeof NewRequest.Type, PairingFailed>
    /** Polls until somebody has decided (RFC 8628 §3.4 and §3.5). */
    readonly wait: (request: typeof NewRequest.Type) => Effect.Effect<Granted, PairingFailed>
    /** Ends the token at the cloud, which removes the edge. One that has ended already is no error. */
    readonly unpair: (token: Redacted.Redacted<string>) => Effect.Effect<void, PairingFailed>
  }
>()("@edge-relay/edge-agent/Pairing") {
  static readonly layer = (cloudUrl: URL) =>
    Layer.effect(
      Pairing,
      Effect.gen(function* () {
        const client = yield* HttpApiClient.make(PairingOnly, {
          transformClient: HttpClient.mapRequest(HttpClientRequest.prependUrl(cloudUrl.origin))
        })
        const api = client.edgePairing

        const poll = (
          request: typeof NewRequest.Type,
          seconds: number
        ): Effect.Effect<Granted, PairingFailed> =>
          Effect.sleep(Duration.seconds(seconds)).pipe(
            Effect.andThen(api.pollRequest({ payload: { deviceCode: request.deviceCode } })),
            Effect.catchTags({
              authorization_pending: () => poll(request, seconds),
              // RFC 8628 §3.5: five seconds more, for this and all later polls.
              slow_down: () => poll(request, seconds + 5),
              too_many_requests: () => poll(request, seconds + 5),
              storage_unavailable: () => poll(request, seconds),
              // §3.5: a connection that times out is tried again, less often.
              HttpClientError: () => poll(request, Math.min(seconds * 2, 60))
            }),
            Effect.mapError(explain(cloudUrl))
          )

        return Pairing.of({
          exchange: (payload) => Effect.mapError(api.exchange({ payload }), explain(cloudUrl)),
          begin: (payload) => Effect.mapError(api.beginRequest({ payload }), explain(cloudUrl)),
          wait: (request) => poll(request, request.interval),
          unpair: (token) =>
            Effect.mapError(api.unpair({ payload: { token: Redacted.value(token) } }), explain(cloudUrl))
        })
      })
    )
}

class PairingOnly extends HttpApi.make("edge-relay").add(EdgePairingApi) {}

/** One clear sentence for what went wrong. */
const explain =
  (cloudUrl: URL) =>
  (error: { readonly _tag: string }): PairingFailed => {
    if (error instanceof PairingFailed) return error
    const said: Record<string, string> = {
      invalid_code: "this pairing code is unknown, used or expired: create a new one in the console",
      access_denied: "the request was denied in the console",
      expired_token: "nobody approved the request in time: begin again",
      too_many_requests: "too many tries from this address: wait a minute and try again",
      storage_unavailable: "the cloud cannot reach its database right now: try again in a moment",
      invalid_request: "the cloud did not understand the request: is this agent up to date?"
    }
    return new PairingFailed({
      message:
        said[error._tag] ??
        (error._tag === "HttpClientError"
          ? NetworkProblem.explain(cloudUrl, error)
          : `${cloudUrl.origin} does not answer as Edge Relay does: is the address right?`)
    })
  }
