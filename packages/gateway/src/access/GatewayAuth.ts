import { EdgeHostSeal } from "@edge-relay/auth/edge-host/EdgeHostSeal"
import { SessionCheck } from "@edge-relay/auth/session/SessionCheck"
import type { VerifiedCookie } from "@edge-relay/auth/session/SessionCookie"
import { SessionCookie } from "@edge-relay/auth/session/SessionCookie"
import { TokenCheck } from "@edge-relay/auth/tokens/TokenCheck"
import type { AccessToken } from "@edge-relay/domain/access-tokens/AccessTokens"
import type { SignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import * as HostCookies from "../hosts/HostCookies.ts"
import { type Caller, isToken } from "./Caller.ts"
import type { Lookup } from "./Lookup.ts"
import { Clock, Context, Effect, Layer, Option } from "effect"

/** Somebody known by what they sent. */
export interface Authenticated {
  readonly caller: Caller
  /** The `Set-Cookie` value in place of a cookie that an older key has signed. */
  readonly renewedCookie: string | undefined
}

/**
 * Who a forwarded request is from, without a fiber where this process's memory has the answer.
 * {@link SessionCheck} has the rules; here is how a path that no handler is on asks for them, and gives a cookie of the
 * newest key.
 */
export class GatewayAuth extends Context.Service<
  GatewayAuth,
  {
    /** Our cookies on edges' hosts. */
    readonly hostCookies: HostCookies.HostCookies
    /**
     * Whose live session a `Cookie` header names; undefined where there is none.
     * `connection` is what the header came on: the same header on it is not verified twice.
     */
    readonly authenticate: (
      cookieHeader: string | undefined,
      connection: object
    ) => Lookup<Authenticated | undefined>
    /** The same for a request on an edge's own host, by that host's cookie. */
    readonly authenticateAt: (
      host: string,
      cookieHeader: string | undefined,
      connection: object
    ) => Lookup<Authenticated | undefined>
    /** The token of ours in an `Authorization` header, good or not. */
    readonly tokenOf: (authorization: string) => string | undefined
    /** Whose live token that is, used from that address; as `authenticate` answers. */
    readonly authenticateToken: (text: string, address: string) => Lookup<Authenticated | undefined>
    /** Calls back when session or token has ended, within a second, wherever it was ended. Answers how to stop. */
    readonly watch: (caller: Caller, onEnded: () => void) => () => void
  }
>()("@edge-relay/gateway/access/GatewayAuth") {
  static readonly layer = Layer.effect(
    GatewayAuth,
    Effect.suspend(() => make)
  )
}

/** What a connection's last `Cookie` header was found to be. */
interface Verified {
  readonly header: string
  /** On an edge's host: which one. A connection from a balancer carries requests for many. */
  readonly host: string | undefined
  readonly cookie: VerifiedCookie | undefined
  readonly renewedCookie: string | undefined
}

const make = Effect.gen(function* () {
  const cookies = yield* SessionCookie
  const seal = yield* EdgeHostSeal
  const hostCookies = HostCookies.make(cookies.name.startsWith("__Host-"))
  const sessions = yield* SignInSessions
  const check = yield* SessionCheck
  const tokens = yield* TokenCheck
  const clock = yield* Clock.Clock
  const verified = new WeakMap<object, Verified>()

  /** Two cookies of our name: somebody planted the other, and their order says nothing. */
  const openHostCookie = (host: string, header: string): VerifiedCookie | undefined => {
    const [value, ...others] = HostCookies.valuesOf(header, hostCookies.sessionName)
    return value === undefined || others.length > 0 ? undefined : seal.openCookie(host, value)
  }

  const renewed = (host: string | undefined, cookie: VerifiedCookie): string =>
    host === undefined
      ? cookies.set(cookie)
      : hostCookies.set(hostCookies.sessionName, seal.sealCookie(host, cookie))

  const verify = (host: string | undefined, header: string, connection: object): Verified => {
    const last = verified.get(connection)
    if (last?.header === header && last.host === host) return last
    const cookie = host === undefined ? cookies.verify(header) : openHostCookie(host, header)
    const renewedCookie = cookie?.outdated === true ? renewed(host, cookie) : undefined
    const found = { header, host, cookie, renewedCookie }
    verified.set(connection, found)
    return found
  }

  const seen = (
    cookie: VerifiedCookie,
    session: SignInSession,
    renewedCookie: string | undefined
  ): Authenticated => {
    check.used({ cookie, session }, clock.currentTimeMillisUnsafe())
    return { caller: session, renewedCookie }
  }

  const authenticate = (host: string | undefined, header: string | undefined, connection: object) => {
    if (header === undefined) return undefined
    const { cookie, renewedCookie } = verify(host, header, connection)
    if (cookie === undefined) return undefined
    const known = check.peekBy(cookie, clock.currentTimeMillisUnsafe())
    if (known !== undefined) return seen(cookie, known, renewedCookie)
    return Effect.map(check.findBy(cookie), (found) =>
      Option.isSome(found) ? seen(cookie, found.value, renewedCookie) : undefined
    )
  }

  const authenticateToken = (text: string, address: string) => {
    const use = (token: AccessToken): Authenticated => {
      tokens.touch(token, address, clock.currentTimeMillisUnsafe())
      return { caller: token, renewedCookie: undefined }
    }
    const known = tokens.peek(text, clock.currentTimeMillisUnsafe())
    if (known !== undefined) return use(known)
    return Effect.map(tokens.find(text), (found) => (Option.isSome(found) ? use(found.value) : undefined))
  }

  return GatewayAuth.of({
    hostCookies,
    authenticate: (header, connection) => authenticate(undefined, header, connection),
    authenticateAt: authenticate,
    tokenOf: tokens.tokenOf,
    authenticateToken,
    watch: (caller, onEnded) =>
      isToken(caller) ? tokens.watch(caller, onEnded) : sessions.watch(caller, onEnded)
  })
})
