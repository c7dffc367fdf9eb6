import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import type { EnterQuery } from "@edge-relay/domain/api/EdgeHosts"
import * as Problem from "@edge-relay/domain/api/Problem"
import * as EdgeHost from "@edge-relay/domain/edges/EdgeHost"
import { Edges } from "@edge-relay/domain/edges/Edges"
import type { SignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import { Clock, Effect, Option } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { SessionCheck } from "../session/SessionCheck.ts"
import { SessionCookie } from "../session/SessionCookie.ts"
import { loginPath } from "../sign-in/ReturnTo.ts"
import { respond } from "../sign-in/SignInPage.ts"
import { storageUnavailable, tell, unlessHead } from "../sign-in/Telling.ts"
import { EdgeHostSeal } from "./EdgeHostSeal.ts"

/** Where an edge's host takes the ticket. All below `/.edge-relay/` on such a host is ours. */
export const ticketPath = "/.edge-relay/ticket"

/** Long enough for one redirect. */
const ticketMillis = 30_000

export interface EdgeHostOptions {
  readonly publicUrl: URL
  /** `EDGE_DOMAIN`; undefined where edges have no hosts. */
  readonly edgeDomain: string | undefined
}

/** The handler that takes a signed-in browser to an edge's own host, and signs it in first where it is not. */
export const layer = ({ edgeDomain, publicUrl }: EdgeHostOptions) =>
  HttpApiBuilder.group(
    CloudApi,
    "edgeHosts",
    Effect.fnUntraced(function* (handlers) {
      const cookies = yield* SessionCookie
      const edges = yield* Edges
      const seal = yield* EdgeHostSeal
      const check = yield* SessionCheck

      const enter = Effect.fnUntraced(function* (
        { after, attempt, challenge, host }: typeof EnterQuery.Type,
        request: HttpServerRequest.HttpServerRequest
      ) {
        const named = edgeDomain === undefined ? undefined : EdgeHost.parse(edgeDomain, host)
        if (named === undefined || named === "unknown") return noEdge("No edge has this address.")
        const cookie = cookies.verify(request.headers["cookie"])
        const session = cookie === undefined ? Option.none<SignInSession>() : yield* check.findBy(cookie)
        if (cookie === undefined || Option.isNone(session)) {
          return after === undefined
            ? redirect(loginPath(`${request.url}&after=sign-in`))
            : notSignedIn(request)
        }
        const found = yield* edges.get(session.value.tenantId, named.edgeId).pipe(
          Effect.as(true),
          Effect.catchTag("EdgeNotFound", () => Effect.succeed(false))
        )
        if (!found) return noEdge("It was removed, or it belongs to somebody else.")
        const now = yield* Clock.currentTimeMillis
        check.used({ cookie, session: session.value }, now)
        const ticket = seal.sealTicket(named.host, {
          id: cookie.id,
          challenge,
          expiresAt: now + ticketMillis
        })
        const query = new URLSearchParams({ attempt, ticket })
        const location = `${publicUrl.protocol}//${named.host}${ticketPath}?${query.toString()}`
        return after === undefined ? redirect(location) : goOn(location)
      })

      return handlers.handleAll({
        enter: Effect.fnUntraced(function* ({ query, request }) {
          const mode = request.headers["sec-fetch-mode"]
          if (mode !== undefined && mode !== "navigate") {
            return yield* new Problem.InvalidRequest({ detail: "Edges are opened by navigating to them." })
          }
          return yield* unlessHead(
            request,
            enter(query, request).pipe(
              Effect.catchTag("StorageUnavailable", (error) =>
                tell(error, storageUnavailable(), request, request.url)
              )
            )
          )
        })
      })
    })
  )

const redirect = (location: string) =>
  HttpServerResponse.empty({
    status: 302,
    headers: { location, "cache-control": "no-store", "referrer-policy": "no-referrer" }
  })

/** Who comes from the provider and has no session here would be sent there again, for ever. */
const notSignedIn = ({ url }: HttpServerRequest.HttpServerRequest) =>
  respond({
    status: 400,
    title: "You are not signed in",
    text: "The sign-in is over, or your browser keeps no cookies here.",
    action: { label: "Sign in again", href: loginPath(url) }
  })

/**
 * A page that goes on by itself. A redirect would belong to the form that was sent at the identity provider, whose
 * policy may not let a form end on an edge's host (CSP 3, form-action).
 */
const goOn = (location: string) =>
  HttpServerResponse.setHeader(
    respond({
      status: 200,
      title: "You are signed in",
      text: "Your edge is next.",
      action: { label: "Go on", href: location }
    }),
    "refresh",
    `0; url=${location}`
  )

const noEdge = (text: string) =>
  respond({ status: 404, title: "There is no such edge", text, action: { label: "Your edges", href: "/" } })
