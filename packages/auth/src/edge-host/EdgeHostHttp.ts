import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import * as Problem from "@edge-relay/domain/api/Problem"
import * as EdgeHost from "@edge-relay/domain/edges/EdgeHost"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import { Clock, Effect, Option } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { SessionCookie } from "../session/SessionCookie.ts"
import * as PlainPage from "../sign-in/PlainPage.ts"
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
      const sessions = yield* SignInSessions

      return handlers.handleAll({
        enter: Effect.fnUntraced(function* ({ query: { after, attempt, challenge, host }, request }) {
          const mode = request.headers["sec-fetch-mode"]
          if (mode !== undefined && mode !== "navigate") {
            return yield* new Problem.InvalidRequest({ detail: "Edges are opened by navigating to them." })
          }
          const named = edgeDomain === undefined ? undefined : EdgeHost.parse(edgeDomain, host)
          const known =
            edgeDomain === undefined || named === undefined || named === "unknown"
              ? Option.none()
              : EdgeHost.of(edgeDomain, named)
          if (named === undefined || named === "unknown" || Option.isNone(known)) {
            return noEdge("No edge has this address.")
          }
          const cookie = cookies.verify(request.headers["cookie"])
          const session =
            cookie === undefined ? Option.none() : yield* orUnavailable(sessions.find(cookie.idHash))
          if (cookie === undefined || Option.isNone(session)) return toSignIn(request)
          const found = yield* edges.get(session.value.tenantId, named.edgeId).pipe(
            Effect.as(true),
            Effect.catchTag("EdgeNotFound", () => Effect.succeed(false)),
            orUnavailable
          )
          if (!found) return noEdge("It was removed, or it belongs to somebody else.")
          const now = yield* Clock.currentTimeMillis
          sessions.touch(cookie.idHash, now)
          const ticket = seal.sealTicket(known.value, {
            id: cookie.id,
            challenge,
            expiresAt: now + ticketMillis
          })
          const location = `${publicUrl.protocol}//${known.value}${ticketPath}?${new URLSearchParams({ attempt, ticket }).toString()}`
          return after === "sign-in" ? goOn(location) : redirect(location)
        })
      })
    })
  )

const redirect = (location: string) =>
  HttpServerResponse.empty({
    status: 302,
    headers: { location, "cache-control": "no-store", "referrer-policy": "no-referrer" }
  })

const toSignIn = ({ url }: HttpServerRequest.HttpServerRequest) =>
  redirect(`/api/auth/login?${new URLSearchParams({ returnTo: `${url}&after=sign-in` }).toString()}`)

/**
 * A page that goes on by itself. A redirect would belong to the form that was sent at the identity provider, whose
 * policy may not let a form end on an edge's host (CSP 3 §6.4.2, form-action).
 */
const goOn = (location: string) => {
  const { "content-type": contentType, ...headers } = PlainPage.headers()
  const body = `<a class="action" href="${PlainPage.escapeHtml(location)}">Go on</a>`
  return HttpServerResponse.text(
    PlainPage.render({ title: "You are signed in", owner: "Edge Relay", body }),
    {
      contentType,
      headers: { ...headers, refresh: `0; url=${location}` }
    }
  )
}

const noEdge = (text: string) => {
  const { "content-type": contentType, ...headers } = PlainPage.headers()
  const body = `<p>${PlainPage.escapeHtml(text)}</p>\n<a class="action" href="/">Your edges</a>`
  return HttpServerResponse.text(
    PlainPage.render({ title: "There is no such edge", owner: "Edge Relay", body }),
    { status: 404, contentType, headers }
  )
}

const orUnavailable = <A>(effect: Effect.Effect<A, { readonly _tag: "StorageUnavailable" }>) =>
  Effect.mapError(
    effect,
    () => new Problem.StorageUnavailable({ detail: "The database does not answer. Nothing was changed." })
  )
