import type { VerifiedCookie } from "@edge-relay/auth/SessionCookie"
import { SessionCookie } from "@edge-relay/auth/SessionCookie"
import type { SignInSession } from "@edge-relay/domain/SignInSession"
import { SignInSessions } from "@edge-relay/domain/SignInSessions"
import { Clock, Context, Effect, Layer, Option } from "effect"

/**
 * Who a forwarded request is from, without a promise or a fiber where this process's memory has the answer.
 * The same rules as the `Authorization` middleware's, for a path that no handler is on.
 */
export class GatewayAuth extends Context.Service<
  GatewayAuth,
  {
    /** The cookie that never leaves the cloud. */
    readonly cookieName: string
    /**
     * The live session of a `Cookie` header; undefined where there is none. Rejects with `StorageUnavailable`.
     * `connection` is what the header came on: the same header on it is not verified twice.
     */
    readonly authenticate: (
      cookieHeader: string | undefined,
      connection: object
    ) => SignInSession | undefined | Promise<SignInSession | undefined>
    /** Calls back when the session has ended, within a second, wherever it was ended. Answers how to stop. */
    readonly watch: (session: SignInSession, onEnded: () => void) => () => void
  }
>()("@edge-relay/server-api/gateway/GatewayAuth") {
  static readonly layer = Layer.effect(
    GatewayAuth,
    Effect.suspend(() => make)
  )
}

/** A session's idle end is hours away: it need not be moved by each of a thousand requests a second. */
const touchMillis = 1000

const make = Effect.gen(function* () {
  const cookie = yield* SessionCookie
  const sessions = yield* SignInSessions
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  /** What each connection's last `Cookie` header was found to be. */
  const verified = new WeakMap<
    object,
    { readonly header: string; readonly cookie: VerifiedCookie | undefined }
  >()

  const verify = (header: string, connection: object): VerifiedCookie | undefined => {
    const last = verified.get(connection)
    if (last?.header === header) return last.cookie
    const found = cookie.verify(header)
    verified.set(connection, { header, cookie: found })
    return found
  }

  const seen = (session: SignInSession): SignInSession => {
    const now = clock.currentTimeMillisUnsafe()
    if (now - session.lastSeenAt >= touchMillis) sessions.touch(session.idHash, now)
    return session
  }

  return GatewayAuth.of({
    cookieName: cookie.name,
    authenticate: (header, connection) => {
      if (header === undefined) return undefined
      const id = verify(header, connection)?.idHash
      if (id === undefined) return undefined
      const known = sessions.peek(id, clock.currentTimeMillisUnsafe())
      if (known !== undefined) return seen(known)
      return Effect.runPromiseWith(context)(
        Effect.map(sessions.find(id), (found) => (Option.isSome(found) ? seen(found.value) : undefined))
      )
    },
    watch: (session, onEnded) => sessions.watch(session, onEnded)
  })
})
