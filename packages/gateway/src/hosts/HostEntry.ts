import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Effect } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { GatewayAuth } from "../access/GatewayAuth.ts"
import * as Lookup from "../access/Lookup.ts"
import * as GatewayPage from "../GatewayPage.ts"
import * as GatewayProblem from "../GatewayProblem.ts"
import type { RequestHead } from "../http/RequestHead.ts"
import * as HostCookies from "./HostCookies.ts"
import { sendLoop, sendNotSignedIn, sendRedirect } from "./HostAnswers.ts"
import type { OwnHost } from "./HostRoute.ts"
import * as HostSignIn from "./HostSignIn.ts"

/** A request on an edge's host. */
export interface Arrival {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly method: string
  readonly head: RequestHead
  readonly route: { readonly target: string }
  readonly own: OwnHost
  readonly requestId: string
  readonly upgraded: object | undefined
}

/** The door of an edge's host: where whoever is not signed in there is sent, and where they come back. */
export interface HostEntry {
  /** Only a navigation is sent to sign in: a script's fetch that follows a redirect to a page is of no use. */
  readonly enter: (arrival: Arrival, problem: GatewayProblem.GatewayProblem) => void
  /** Takes a ticket; gives the status of the answer, null where the browser has gone. */
  readonly complete: (arrival: Arrival) => Effect.Effect<number | null, StorageUnavailable>
}

export const make = Effect.fnUntraced(function* (publicUrl: URL) {
  const auth = yield* GatewayAuth
  const { hostCookies } = auth
  const signIn = yield* HostSignIn.make({ publicUrl, cookies: hostCookies })

  const entry: HostEntry = {
    enter: ({ head, method, own, requestId, response, route, upgraded }, problem) => {
      if (upgraded !== undefined || !GatewayPage.isNavigation(method, head)) {
        const { sessionName } = hostCookies
        // Only the one that was sent: an answer that comes late must not take away a cookie set meanwhile.
        const sent = HostCookies.valuesOf(head.cookie, sessionName).length > 0
        const cleared = sent ? [hostCookies.clear(sessionName)] : []
        return GatewayProblem.send(response, problem, requestId, false, cleared)
      }
      const redirect = signIn.begin(own.host, route.target, head.cookie)
      if (redirect !== undefined) return sendRedirect(response, redirect, requestId)
      sendLoop(response, requestId, [
        hostCookies.clear(hostCookies.sessionName),
        hostCookies.clear(hostCookies.roundsName)
      ])
    },

    complete: Effect.fnUntraced(function* ({ head, own, request, requestId, response, route }) {
      const outcome = yield* signIn.complete(own.host, route.target, head.cookie)
      if (response.destroyed) return null
      if (outcome._tag === "redirect") {
        sendRedirect(response, outcome, requestId)
        return 302
      }
      // A ticket that was loaded again, or a second tab's: whoever is signed in here needs none.
      const who = yield* Lookup.toEffect(auth.authenticateAt(own.host, head.cookie, request.socket))
      if (who !== undefined) {
        sendRedirect(response, { ...outcome, location: outcome.path }, requestId)
        return 302
      }
      sendNotSignedIn(response, requestId, outcome)
      return 400
    })
  }
  return entry
})
