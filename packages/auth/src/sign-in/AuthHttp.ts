import { AccessTokens } from "@edge-relay/domain/access-tokens/AccessTokens"
import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import * as Problem from "@edge-relay/domain/api/Problem"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { AccessTokenId } from "@edge-relay/domain/ids/AccessTokenId"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { DateTime, Effect, Layer, Option, Schema } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { ProviderUnavailable } from "../provider/OidcError.ts"
import { SessionCookie } from "../session/SessionCookie.ts"
import { type Redirect, SignIn } from "./SignIn.ts"
import type { TooManySignIns } from "./SignInError.ts"
import type { Origin } from "./SignInRecords.ts"
import { pageOf } from "./SignInPage.ts"
import { orUnavailable, storageUnavailable, tell, unlessHead, withHeader } from "./Telling.ts"

/** The handlers of sign-in: what browsers are sent through, and what a signed-in person's page asks. */
export const layer = Layer.suspend(() => Layer.mergeAll(layerSignIn, layerAuth))

const layerSignIn = HttpApiBuilder.group(
  CloudApi,
  "signIn",
  Effect.fnUntraced(function* (handlers) {
    const signIn = yield* SignIn
    const cookies = yield* SessionCookie

    const redirect = ({ cookie, location }: Redirect) =>
      HttpServerResponse.empty({
        status: 302,
        headers: {
          location,
          "cache-control": "no-store",
          // The callback's address holds the code.
          "referrer-policy": "no-referrer",
          ...(cookie === undefined ? {} : { "set-cookie": cookies.set(cookie) })
        }
      })

    return handlers.handleAll({
      login: ({ query, request }) =>
        unlessHead(
          request,
          signIn
            .begin(cookies.verify(request.headers["cookie"]), query.returnTo, origin(request))
            .pipe(Effect.map(redirect), Effect.catchTags(common(request, query.returnTo)))
        ),

      callback: ({ request }) =>
        unlessHead(
          request,
          signIn
            .callback(cookies.verify(request.headers["cookie"]), parameters(request), origin(request))
            .pipe(
              Effect.map(redirect),
              Effect.catchTags({
                ...common(request),
                ProviderUnavailable: (error) =>
                  Effect.flatMap(signIn.returnTo(parameters(request)), (returnTo) =>
                    common(request, returnTo).ProviderUnavailable(error)
                  ),
                SignInFailed: (error) =>
                  tell(
                    error,
                    new Problem.SignInFailed({ detail: pageOf(error).text }),
                    request,
                    error.returnTo
                  )
              })
            )
        ),

      backchannelLogout: ({ payload, request }) =>
        signIn.backchannel(payload.logout_token, origin(request)).pipe(
          // OpenID Connect Back-Channel Logout 1.0 §2.8.
          Effect.as(HttpServerResponse.empty({ status: 200, headers: { "cache-control": "no-store" } })),
          Effect.catchTags({
            ...common(request),
            LogoutRefused: ({ code }) =>
              Effect.fail(
                new Problem.InvalidLogoutToken({ detail: `The logout token was refused (${code}).` })
              )
          })
        )
    })
  })
)

const layerAuth = HttpApiBuilder.group(
  CloudApi,
  "auth",
  Effect.fnUntraced(function* (handlers) {
    const signIn = yield* SignIn
    const cookies = yield* SessionCookie
    const tokens = yield* AccessTokens
    const audit = yield* AuditLog

    /** False where this user has no terminal of that id. */
    const endTerminal = Effect.fnUntraced(function* (
      { tenantId, userId }: CurrentUser["Service"],
      id: AccessTokenId,
      request: HttpServerRequest.HttpServerRequest
    ) {
      const terminals = yield* orUnavailable(tokens.terminals(tenantId, userId))
      if (!terminals.some((one) => one.id === id)) return false
      const ended = yield* orUnavailable(tokens.revoke(tenantId, userId, id))
      const { address, requestId } = origin(request)
      const entry = { action: "terminal.ended", outcome: "success", detail: id } as const
      yield* orUnavailable(audit.record({ ...entry, tenantId, actor: userId, address, requestId }))
      return Option.isSome(ended)
    })

    return handlers.handleAll({
      me: () =>
        Effect.map(
          CurrentUser,
          ({ role, session, tenantId, token, userId, email, name, picture, subject }) => ({
            user: { id: userId, subject, name, email, picture },
            tenant: { id: tenantId },
            role,
            session,
            token: token === null ? null : { ...token, edges: token.reach }
          })
        ),

      logout: Effect.fnUntraced(function* ({ request }) {
        const cookie = cookies.verify(request.headers["cookie"])
        const logoutUrl =
          cookie === undefined ? null : yield* orUnavailable(signIn.end(cookie, origin(request)))
        yield* withHeader("set-cookie", cookies.clear)
        return { logoutUrl }
      }),

      sessions: Effect.fnUntraced(function* () {
        const user = yield* CurrentUser
        const items = yield* orUnavailable(signIn.list(user))
        const terminals = yield* orUnavailable(tokens.terminals(user.tenantId, user.userId))
        return {
          items: [
            ...items.map((session) => ({
              id: session.id,
              kind: "browser" as const,
              createdAt: DateTime.makeUnsafe(session.createdAt),
              lastSeenAt: DateTime.makeUnsafe(session.lastSeenAt),
              expiresAt: DateTime.makeUnsafe(session.expiresAt),
              address: session.address,
              userAgent: session.userAgent,
              current: session.id === user.session?.id
            })),
            ...terminals.map(({ createdAt, endsAt, id, lastUsedAt, lastUsedFrom, terminal }) => ({
              id,
              kind: "terminal" as const,
              createdAt,
              lastSeenAt: lastUsedAt ?? createdAt,
              expiresAt: endsAt,
              address: lastUsedFrom ?? terminal?.address ?? null,
              userAgent: terminal?.hostname ?? null,
              current: false
            }))
          ],
          nextCursor: null
        }
      }),

      endSession: Effect.fnUntraced(function* ({ params, request }) {
        const user = yield* CurrentUser
        const ended = isToken(params.id)
          ? yield* endTerminal(user, params.id, request)
          : yield* orUnavailable(signIn.endOne(user, params.id, origin(request)))
        if (!ended) return yield* new Problem.NotFound({ detail: "There is no such sign-in." })
        if (params.id === user.session?.id) yield* withHeader("set-cookie", cookies.clear)
      }),

      endOtherSessions: Effect.fnUntraced(function* ({ request }) {
        const user = yield* CurrentUser
        if (user.session === null) return yield* new Problem.InsufficientScope({})
        yield* orUnavailable(signIn.endOthers(user, user.session.id, origin(request)))
        for (const { id } of yield* orUnavailable(tokens.terminals(user.tenantId, user.userId))) {
          yield* endTerminal(user, id, request)
        }
      })
    })
  })
)

const isToken = Schema.is(AccessTokenId)

const origin = ({ headers, remoteAddress }: HttpServerRequest.HttpServerRequest): Origin => ({
  address: Option.getOrElse(remoteAddress, () => "unknown"),
  userAgent: headers["user-agent"] ?? "",
  requestId: headers["x-request-id"]
})

const parameters = ({ url }: HttpServerRequest.HttpServerRequest) => {
  const query = url.indexOf("?")
  return new URLSearchParams(query === -1 ? "" : url.slice(query))
}

/** What may go wrong with each of these, and is nobody's fault who asks. */
const common = (request: HttpServerRequest.HttpServerRequest, returnTo?: string) => ({
  ProviderUnavailable: (error: ProviderUnavailable) =>
    tell(
      error,
      new Problem.ProviderUnavailable({ detail: error.fault ?? "The identity provider does not answer." }),
      request,
      returnTo
    ),
  TooManySignIns: (error: TooManySignIns) =>
    tell(
      error,
      new Problem.TooManyRequests({ detail: `Try again in ${error.retryAfterSeconds} s.` }),
      request,
      returnTo
    ),
  StorageUnavailable: (error: StorageUnavailable) => tell(error, storageUnavailable(), request, returnTo)
})
