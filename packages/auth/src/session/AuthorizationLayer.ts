import { Authorization } from "@edge-relay/domain/api/Authorization"
import { CrossSite, StorageUnavailable, Unauthorized } from "@edge-relay/domain/api/Problem"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import { NeededRole } from "@edge-relay/domain/sign-in/Role"
import { Clock, Context, Effect, Layer, Option } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Roles from "./Roles.ts"
import { isCrossSite } from "./CrossSite.ts"
import { SessionCheck, toCurrentUser } from "./SessionCheck.ts"
import { SessionCookie } from "./SessionCookie.ts"
import { TokenCheck } from "../tokens/TokenCheck.ts"
import * as TokenAuthorization from "../tokens/TokenAuthorization.ts"

/**
 * The `Authorization` middleware: a live session or token, or 401. It is the only place that provides `CurrentUser`.
 * A token decides alone, whatever cookies come with it.
 *
 * A request in a session counts as use, save for a question about the session that says `slide=false`.
 */
export const layer = (options: { readonly publicUrl: URL }) =>
  Layer.effect(
    Authorization,
    Effect.gen(function* () {
      const check = yield* SessionCheck
      const cookies = yield* SessionCookie
      const tokens = yield* TokenCheck
      const byToken = yield* TokenAuthorization.make

      return Authorization.of(
        Effect.fnUntraced(function* (httpEffect, { endpoint }) {
          const request = yield* HttpServerRequest.HttpServerRequest
          const text = tokens.tokenOf(request.headers["authorization"])
          if (text !== undefined) {
            const user = yield* byToken(text, endpoint)
            const forbidden = Roles.refusal(user.role, Context.get(endpoint.annotations, NeededRole))
            if (forbidden !== undefined) return yield* forbidden
            return withHeaders(yield* Effect.provideService(httpEffect, CurrentUser, user), {
              "cache-control": "no-store"
            })
          }
          if (isCrossSite(request.method, request.headers, options.publicUrl)) {
            return yield* new CrossSite({ detail: "This was sent by a page of another site." })
          }
          const checked = yield* check
            .find(request.headers["cookie"])
            .pipe(
              Effect.mapError(
                () => new StorageUnavailable({ detail: "Sign-ins cannot be checked right now." })
              )
            )
          if (Option.isNone(checked)) return yield* new Unauthorized({ detail: "Sign in first." })
          const { cookie, session } = checked.value
          const now = yield* Clock.currentTimeMillis
          const slides = !(endpoint.identifier === "me" && asksNotToSlide(request.url))
          check.used(checked.value, now, { slides })
          const user = toCurrentUser(session, slides ? now : session.lastSeenAt)
          const forbidden = Roles.refusal(user.role, Context.get(endpoint.annotations, NeededRole))
          if (forbidden !== undefined) return yield* forbidden
          const response = yield* Effect.provideService(httpEffect, CurrentUser, user)
          return withHeaders(response, {
            // Whatever is answered to somebody is theirs.
            "cache-control": "no-store",
            ...(cookie.outdated ? { "set-cookie": cookies.set(cookie) } : {})
          })
        })
      )
    })
  )

const asksNotToSlide = (url: string): boolean => {
  const query = url.indexOf("?")
  return query !== -1 && new URLSearchParams(url.slice(query)).get("slide") === "false"
}

/** Where the handler has not set them itself. */
const withHeaders = (
  response: HttpServerResponse.HttpServerResponse,
  headers: { readonly [name: string]: string }
) => HttpServerResponse.setHeaders(response, { ...headers, ...response.headers })
