import { Config } from "../Config.ts"
import { SessionCookie } from "@edge-relay/auth/session/SessionCookie"
import { TokenCheck } from "@edge-relay/auth/tokens/TokenCheck"
import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { EdgeSessionNotFound, Unauthorized, Unavailable } from "@edge-relay/domain/api/Problem"
import { noSuchEdge } from "@edge-relay/domain/api/WithinReach"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import * as Domain from "@edge-relay/domain/edges/Edges"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Effect, Option, Redacted } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as Audited from "./Audited.ts"
import * as EdgeViews from "./EdgeViews.ts"
import { Traffic } from "@edge-relay/gateway/traffic/Traffic"
import { LiveEvents } from "../live/LiveEvents.ts"
import type { LiveListener } from "../live/LiveListener.ts"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import * as Lists from "./Lists.ts"

/** The listener's stream is read by the answer, and does not outlive its connection, whether it was read or not. */
const streamTo = (request: HttpServerRequest.HttpServerRequest, { stream }: LiveListener) => {
  const response = NodeHttpServerRequest.toServerResponse(request)
  if (response.destroyed) stream.destroy()
  else response.once("close", () => stream.destroy())
  return HttpServerResponse.raw(stream, {
    contentType: "text/event-stream",
    // nginx would gather events before it passes them on.
    headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
  })
}

const offline = new EdgeSessionNotFound({ detail: "The edge has no tunnel open." })

const orNotFound = <A, E, R>(effect: Effect.Effect<A, E | Domain.EdgeNotFound, R>) =>
  effect.pipe(
    Effect.catchIf(isNotFound, () => Effect.fail(noSuchEdge)),
    Audited.orUnavailable
  )

const isNotFound = <E>(error: E | Domain.EdgeNotFound): error is Domain.EdgeNotFound =>
  error instanceof Domain.EdgeNotFound

export const layer = HttpApiBuilder.group(
  CloudApi,
  "edges",
  Effect.fnUntraced(function* (handlers) {
    const edges = yield* Domain.Edges
    const tokens = yield* SessionTokens
    const presence = yield* Presence
    const traffic = yield* Traffic
    const live = yield* LiveEvents
    const cookie = yield* SessionCookie
    const sessions = yield* SignInSessions
    const accessTokens = yield* TokenCheck
    const audited = yield* Audited.make
    const config = yield* Config
    const view = EdgeViews.make(presence, config)

    return handlers.handleAll({
      list: ({ query: { online, label, q, ...query } }) =>
        Effect.gen(function* () {
          const { tenantId, token } = yield* CurrentUser
          const ids = online === undefined ? [] : presence.onlineOf(tenantId).map(({ edgeId }) => edgeId)
          const among = online === undefined ? {} : online === "true" ? { ids } : { exceptIds: ids }
          const page = yield* Lists.page(query, (page) =>
            edges.list(tenantId, { ...page, ...among, label, q, reach: token?.reach })
          )
          return { ...page, items: page.items.map(view) }
        }).pipe(Audited.orUnavailable),

      events: ({ headers, request }) =>
        Effect.gen(function* () {
          const { tenantId, token } = yield* CurrentUser
          if (token !== null) {
            const listener = yield* live.listen(tenantId, headers["last-event-id"])
            listener.onClose(accessTokens.watch(token, () => listener.end()))
            return streamTo(request, listener)
          }
          const verified = cookie.verify(request.headers["cookie"])
          const session = verified === undefined ? Option.none() : yield* sessions.find(verified.idHash)
          // It ended after the middleware saw it.
          if (Option.isNone(session)) return yield* new Unauthorized({})
          const listener = yield* live.listen(tenantId, headers["last-event-id"])
          listener.onClose(sessions.watch(session.value, () => listener.end()))
          return streamTo(request, listener)
        }).pipe(Audited.orUnavailable),

      get: ({ params: { edgeId } }) =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          const edge = yield* edges.get(tenantId, edgeId)
          yield* presence.refresh(edgeId)
          return view(edge)
        }).pipe(orNotFound),

      update: ({ params: { edgeId }, payload }) =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          const detail = Object.keys(payload).join(", ")
          return view(
            yield* audited.together(
              { action: "edge.updated", edgeId, detail },
              edges.update(tenantId, edgeId, payload)
            )
          )
        }).pipe(orNotFound),

      remove: ({ params: { edgeId } }) =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          yield* audited.together({ action: "edge.removed", edgeId }, edges.remove(tenantId, edgeId))
          traffic.forget(edgeId)
          // Its proxy sees the removal in the database too, within a second; asked, it is at once.
          yield* Effect.ignore(presence.close(edgeId, "revoked"), {
            log: "Warn",
            message: "the proxy could not be told that an edge was removed"
          })
        }).pipe(orNotFound),

      session: ({ params: { edgeId } }) =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          yield* edges.get(tenantId, edgeId)
          const session = yield* presence.refresh(edgeId)
          if (session === undefined) return yield* offline
          return EdgeViews.session(config, session)
        }).pipe(orNotFound),

      disconnect: ({ params: { edgeId } }) =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          yield* edges.get(tenantId, edgeId)
          const close = presence.close(edgeId, "disconnected").pipe(
            Effect.filterOrFail(
              (closed) => closed,
              () => offline
            )
          )
          yield* close
          yield* audited.record({ action: "edge.disconnected", edgeId })
        }).pipe(
          Effect.catchTag("ProxyUnavailable", (error) =>
            Effect.andThen(
              Effect.logError(error.message, error.cause),
              Effect.fail(new Unavailable({ detail: "The proxy that holds the tunnel does not answer." }))
            )
          ),
          orNotFound
        ),

      rotateToken: ({ params: { edgeId } }) =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          const { secret } = yield* audited.together(
            { action: "edge.token_rotated", edgeId },
            tokens.rotate(tenantId, edgeId)
          )
          return { token: Redacted.value(secret) }
        }).pipe(orNotFound),

      traffic: ({ params: { edgeId } }) =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          yield* edges.get(tenantId, edgeId)
          return { items: traffic.recent(edgeId), nextCursor: null }
        }).pipe(orNotFound)
    })
  })
)
