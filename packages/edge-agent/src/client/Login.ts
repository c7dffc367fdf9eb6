import { TerminalApi, TerminalDecisionsApi, type TerminalTokens } from "@edge-relay/domain/api/Terminal"
import { NewRequest } from "@edge-relay/domain/api/Pairing"
import type { ProxyEnvironment } from "@edge-relay/tunnel/agent/OutboundProxy"
import { Clock, DateTime, Duration, Effect, FileSystem, Redacted, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApi, HttpApiClient } from "effect/http-api"
import { cloudClient } from "../CloudClient.ts"
import * as NetworkProblem from "../NetworkProblem.ts"
import * as LoginFile from "./LoginFile.ts"

/** A person's sign-in from this terminal: begun here, approved in a browser (RFC 8628), kept in a file, refreshed. */

/** The cloud said no, or could not be asked. The message is for a person. */
export class LoginFailed extends Schema.TaggedError<LoginFailed>()("LoginFailed", {
  message: Schema.String
}) {}

class TerminalOnly extends HttpApi.make("edge-relay").add(TerminalApi, TerminalDecisionsApi) {}

interface Cloud {
  readonly url: URL
  readonly caFile: string | undefined
  readonly environment: ProxyEnvironment
}

const client = (cloud: Cloud, token?: string) =>
  HttpApiClient.make(TerminalOnly, {
    transformClient: HttpClient.mapRequest((request) => {
      const there = HttpClientRequest.prependUrl(request, cloud.url.origin)
      return token === undefined ? there : HttpClientRequest.bearerToken(there, token)
    })
  })

export const begin = (cloud: Cloud, hostname: string) =>
  Effect.flatMap(client(cloud), ({ terminal }) => terminal.begin({ payload: { hostname } })).pipe(
    Effect.provide(cloudClient(cloud)),
    Effect.mapError(explain(cloud.url))
  )

/** Polls until somebody has decided (RFC 8628 §3.4 and §3.5). */
export const wait = (cloud: Cloud, begun: typeof NewRequest.Type) =>
  Effect.gen(function* () {
    const { terminal } = yield* client(cloud)
    const poll = (seconds: number): Effect.Effect<typeof TerminalTokens.Type, LoginFailed> =>
      Effect.sleep(Duration.seconds(seconds)).pipe(
        Effect.andThen(terminal.poll({ payload: { deviceCode: begun.deviceCode } })),
        Effect.catchTags({
          authorization_pending: () => poll(seconds),
          // RFC 8628 §3.5: five seconds more, for this and all later polls.
          slow_down: () => poll(seconds + 5),
          too_many_requests: () => poll(seconds + 5),
          storage_unavailable: () => poll(seconds),
          // §3.5: a connection that times out is tried again, less often.
          HttpClientError: () => poll(Math.min(seconds * 2, 60))
        }),
        Effect.mapError(explain(cloud.url))
      )
    return yield* poll(begun.interval)
  }).pipe(Effect.provide(cloudClient(cloud)), Effect.mapError(explain(cloud.url)))

/** What is kept of tokens that the cloud has just given. */
export const toLogin = Effect.fnUntraced(function* (url: URL, given: typeof TerminalTokens.Type) {
  const now = yield* Clock.currentTimeMillis
  return new LoginFile.Login({
    cloudUrl: url.origin,
    accessToken: Redacted.make(given.accessToken),
    refreshToken: Redacted.make(given.refreshToken),
    expiresAt: now + given.expiresIn * 1000,
    endsAt: DateTime.formatIso(given.endsAt)
  })
})

/** Ends the sign-in in the cloud; it may have ended by itself. */
export const end = (cloud: Cloud, login: LoginFile.Login) =>
  Effect.flatMap(client(cloud, Redacted.value(login.accessToken)), ({ terminalDecisions }) =>
    terminalDecisions.end()
  ).pipe(
    Effect.catchTags({ unauthorized: () => Effect.void, not_found: () => Effect.void }),
    Effect.provide(cloudClient(cloud)),
    Effect.mapError(explain(cloud.url))
  )

/** A token that is used up to its last second is one that expires on the way. */
const earlyMillis = 60_000

/**
 * The access token of the sign-in in that folder, refreshed where that is due: by one process at a time, since a refresh
 * token that is used twice ends the sign-in.
 */
export const token = Effect.fnUntraced(function* (
  cloud: Cloud,
  folder: string
): Effect.fn.Return<Redacted.Redacted<string>, LoginFailed | LoginFile.LoginUnusable, FileSystem.FileSystem> {
  const isFresh = ({ expiresAt }: LoginFile.Login) =>
    Effect.map(Clock.currentTimeMillis, (now) => expiresAt - earlyMillis > now)
  const login = yield* LoginFile.read(folder)
  if (yield* isFresh(login)) return login.accessToken
  return yield* LoginFile.locked(
    folder,
    Effect.gen(function* () {
      // Another process may have been first.
      const now = yield* LoginFile.read(folder)
      if (yield* isFresh(now)) return now.accessToken
      const refreshToken = Redacted.value(now.refreshToken)
      const given = yield* Effect.flatMap(client(cloud), ({ terminal }) =>
        terminal.refresh({ payload: { refreshToken } })
      ).pipe(Effect.provide(cloudClient(cloud)), Effect.mapError(explain(cloud.url)))
      const renewed = yield* toLogin(cloud.url, given)
      yield* LoginFile.write(folder, renewed)
      return renewed.accessToken
    })
  )
})

const explain =
  (url: URL) =>
  (error: { readonly _tag: string; readonly message: string }): LoginFailed => {
    if (error instanceof LoginFailed) return error
    const said: Readonly<Record<string, string>> = {
      access_denied: "the request was denied in the console",
      expired_token: "nobody approved the request in time: begin again",
      invalid_grant: "this sign-in has ended: edge-relay login",
      too_many_requests: "too many tries from this address: wait a minute and try again",
      storage_unavailable: "the cloud cannot reach its database right now: try again in a moment",
      AuthoritiesUnusable: error.message,
      ProxyUnusable: error.message
    }
    return new LoginFailed({
      message:
        said[error._tag] ??
        (error._tag === "HttpClientError"
          ? NetworkProblem.explain(url, error)
          : `${url.origin} does not answer as Edge Relay does: is the address right?`)
    })
  }
