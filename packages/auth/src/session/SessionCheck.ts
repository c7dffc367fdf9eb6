import type { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import { idleExpiresAt, type SignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Clock, Context, DateTime, Effect, Layer, Option } from "effect"
import { SessionCookie, type VerifiedCookie } from "./SessionCookie.ts"

/** A request's cookie, and the live session that it stands for. */
export interface CheckedSession {
  readonly cookie: VerifiedCookie
  readonly session: SignInSession
}

/**
 * Whose request this is, from its `Cookie` header. Signature first, store second. For the `Authorization`
 * middleware, and for the gateway, which has no fiber to spare: `peek` is synchronous.
 */
export class SessionCheck extends Context.Service<
  SessionCheck,
  {
    readonly find: (
      cookieHeader: string | undefined
    ) => Effect.Effect<Option.Option<CheckedSession>, StorageUnavailable>
    /** What memory knows; undefined says nothing but that it does not: ask `find`. */
    readonly peek: (cookieHeader: string | undefined, now: number) => CheckedSession | undefined
    /** The request counts as use: the session's idle end moves. */
    readonly touch: (checked: CheckedSession, now: number) => void
  }
>()("@edge-relay/auth/session/SessionCheck") {
  static readonly layer = Layer.effect(
    SessionCheck,
    Effect.gen(function* () {
      const cookies = yield* SessionCookie
      const sessions = yield* SignInSessions

      return SessionCheck.of({
        find: Effect.fnUntraced(function* (cookieHeader) {
          const cookie = cookies.verify(cookieHeader)
          if (cookie === undefined) return Option.none()
          const now = yield* Clock.currentTimeMillis
          const known = sessions.peek(cookie.idHash, now)
          if (known !== undefined) return Option.some({ cookie, session: known })
          return Option.map(yield* sessions.find(cookie.idHash), (session) => ({ cookie, session }))
        }),
        peek: (cookieHeader, now) => {
          const cookie = cookies.verify(cookieHeader)
          if (cookie === undefined) return undefined
          const session = sessions.peek(cookie.idHash, now)
          return session === undefined ? undefined : { cookie, session }
        },
        touch: ({ cookie }, now) => sessions.touch(cookie.idHash, now)
      })
    })
  )
}

/** `lastSeenAt`: now, where the request counts as use. */
export const toCurrentUser = (session: SignInSession, lastSeenAt: number): CurrentUser["Service"] => ({
  userId: session.userId,
  tenantId: session.tenantId,
  issuer: session.issuer,
  subject: session.subject,
  name: session.name,
  email: session.email,
  picture: session.picture,
  session: {
    id: session.id,
    createdAt: DateTime.makeUnsafe(session.createdAt),
    expiresAt: DateTime.makeUnsafe(session.expiresAt),
    idleExpiresAt: DateTime.makeUnsafe(idleExpiresAt({ ...session, lastSeenAt }))
  },
  token: null
})
