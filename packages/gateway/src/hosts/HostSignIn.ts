import { digest, EdgeHostSeal } from "@edge-relay/auth/edge-host/EdgeHostSeal"
import { ticketPath } from "@edge-relay/auth/edge-host/EdgeHostHttp"
import { SessionIdHash } from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Clock, Effect, Option } from "effect"
import { randomBytes } from "node:crypto"
import * as HostCookies from "./HostCookies.ts"

/**
 * Signing in on an edge's own host, without a token in the browser and without a cookie for the parent domain.
 *
 * A navigation without a session gets a nonce in a cookie of this host, and goes to our origin with the nonce's hash.
 * Our origin, once somebody is signed in, sends it back with a ticket that is bound to this host, to that session and
 * to that hash; it counts once, for 30 s, in the browser that has the nonce. So a link from somebody else signs
 * nobody in. The path to go to stays in the cookie: no address leads elsewhere.
 */
export interface HostSignIn {
  /** Sends a navigation to our origin; undefined where two sign-ins in a row did not hold. */
  readonly begin: (host: string, target: string, cookieHeader: string | undefined) => Redirect | undefined
  /** Takes the ticket that our origin has sent the browser back with. */
  readonly complete: (
    host: string,
    target: string,
    cookieHeader: string | undefined
  ) => Effect.Effect<Redirect | NotSignedIn, StorageUnavailable>
}

export interface Redirect {
  readonly _tag: "redirect"
  readonly location: string
  readonly cookies: ReadonlyArray<string>
}

/** Why a ticket was not taken. */
export interface NotSignedIn {
  readonly _tag: "not-signed-in"
  /** `browser`: the nonce is not this browser's, or its cookies are switched off; `ticket`: used, old or not ours. */
  readonly reason: "browser" | "ticket"
  /** Where to try again: on this host. */
  readonly path: string
  readonly cookies: ReadonlyArray<string>
}

/** As long as a sign-in at the provider may take. */
const attemptSeconds = 600
/** Sign-ins that are begun on one host at once, in tabs. */
const maxAttempts = 20
/** Two sign-ins in a row that do not hold are a loop. */
const maxRounds = 2
const roundsSeconds = 30
/** Browsers keep 4 KiB a cookie, name and attributes included. */
const maxPathLength = 2700

export const make = Effect.fnUntraced(function* (options: {
  readonly publicUrl: URL
  readonly cookies: HostCookies.HostCookies
}) {
  const { cookies, publicUrl } = options
  const seal = yield* EdgeHostSeal
  const sessions = yield* SignInSessions

  const roundsOf = (header: string | undefined): number => {
    const rounds = Number(HostCookies.valuesOf(header, cookies.roundsName)[0] ?? 0)
    return Number.isInteger(rounds) && rounds > 0 ? rounds : 0
  }

  const signIn: HostSignIn = {
    begin: (host, target, header) => {
      if (roundsOf(header) >= maxRounds) return undefined
      const attempt = randomBytes(6).toString("base64url")
      const nonce = randomBytes(32).toString("base64url")
      const begun = HostCookies.namesOf(header, cookies.attemptName(""))
      const stale = begun.length < maxAttempts ? [] : begun
      const dropped =
        HostCookies.valuesOf(header, cookies.sessionName).length > 0 ? [cookies.sessionName] : []
      const query = new URLSearchParams({ host, attempt, challenge: digest(nonce) })
      return {
        _tag: "redirect",
        location: new URL(`/api/auth/edge?${query.toString()}`, publicUrl).href,
        cookies: [
          ...[...stale, ...dropped].map(cookies.clear),
          cookies.set(cookies.attemptName(attempt), `${nonce}.${encodePath(target)}`, attemptSeconds)
        ]
      }
    },

    complete: Effect.fnUntraced(function* (host, target, header) {
      const query = new URLSearchParams(target.slice(target.indexOf("?") + 1))
      const attempt = query.get("attempt") ?? ""
      const name = cookies.attemptName(/^[\w-]{8}$/.test(attempt) ? attempt : "")
      const [kept, ...others] = HostCookies.valuesOf(header, name)
      const [nonce = "", path] = others.length > 0 ? [] : (kept?.split(".") ?? [])
      const decoded = decodePath(path)
      const rounds = roundsOf(header)
      const begun = kept === undefined ? [] : [cookies.clear(name)]
      const refuse = (reason: NotSignedIn["reason"]): NotSignedIn => ({
        _tag: "not-signed-in",
        reason,
        path: decoded,
        cookies: [...begun, cookies.clear(cookies.roundsName)]
      })

      const sealed = query.get("ticket") ?? ""
      const ticket = seal.openTicket(host, sealed)
      if (ticket === undefined || !(ticket.expiresAt > (yield* Clock.currentTimeMillis))) {
        return refuse("ticket")
      }
      if (nonce === "" || ticket.challenge !== digest(nonce)) return refuse("browser")
      const session = yield* sessions.read(SessionIdHash.make(digest(ticket.id)))
      if (Option.isNone(session)) return refuse("ticket")
      const isFirst = yield* sessions.useOnce(`edge-ticket ${digest(sealed)}`, ticket.expiresAt)
      if (!isFirst) return refuse("ticket")
      return {
        _tag: "redirect",
        location: decoded,
        cookies: [
          ...begun,
          cookies.set(cookies.sessionName, seal.sealCookie(host, ticket)),
          cookies.set(cookies.roundsName, String(rounds + 1), roundsSeconds)
        ]
      } satisfies Redirect
    })
  }
  return signIn
})

/** Whether a request on an edge's host is for us. */
export const isOurs = (target: string): boolean =>
  target.startsWith("/.edge-relay/") || target === "/.edge-relay"

export const isTicket = (target: string): boolean => target.startsWith(`${ticketPath}?`)

const encodePath = (target: string): string =>
  target.length > maxPathLength ? "" : Buffer.from(target, "latin1").toString("base64url")

/** `//host` is a host for browsers, and so is `/\host`: a path is one that stays here. */
const decodePath = (encoded: string | undefined): string => {
  const path = Buffer.from(encoded ?? "", "base64url").toString("latin1")
  return /^\/(?![/\\])[\x21-\x7e]*$/.test(path) ? path : "/"
}
