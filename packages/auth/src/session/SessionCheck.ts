import type { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import {
  idleExpiresAt,
  type SessionIdHash,
  type SignInSession
} from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Clock, Context, DateTime, Effect, FiberSet, Layer, Option } from "effect"
import { SignIn } from "../sign-in/SignIn.ts"
import { SessionCookie, type VerifiedCookie } from "./SessionCookie.ts"

/** A request's cookie, and the live session that it stands for. */
export interface CheckedSession {
  readonly cookie: VerifiedCookie
  readonly session: SignInSession
}

/**
 * Whose request this is, and what follows from its being asked. The one place for both: the `Authorization`
 * middleware, the gateway and the way to edges' hosts ask here. Signature first, store second. The gateway has no
 * fiber to spare: `peekBy` and `used` are synchronous.
 */
export class SessionCheck extends Context.Service<
  SessionCheck,
  {
    /** By a `Cookie` header. */
    readonly find: (
      cookieHeader: string | undefined
    ) => Effect.Effect<Option.Option<CheckedSession>, StorageUnavailable>
    /** By a cookie that was verified before. */
    readonly findBy: (
      cookie: VerifiedCookie
    ) => Effect.Effect<Option.Option<SignInSession>, StorageUnavailable>
    /** As `findBy`, from memory; undefined says nothing but that it does not know: ask `findBy`. */
    readonly peekBy: (cookie: VerifiedCookie, now: number) => SignInSession | undefined
    /**
     * A request was asked in that session. It counts as use, unless it does not `slide`; and the provider's tokens are
     * refreshed where that is due. Nobody waits for the provider: where it says that the session is over, it ends a
     * moment later.
     */
    readonly used: (checked: CheckedSession, now: number, options?: { readonly slides: boolean }) => void
  }
>()("@edge-relay/auth/session/SessionCheck") {
  static readonly layer = Layer.effect(
    SessionCheck,
    Effect.suspend(() => make)
  )
}

/** A session's idle end is hours away: it need not be moved by each of a thousand requests a second. */
const touchMillis = 1000

/** Where the database is away, a refresh that is due is tried again after this, not with each request. */
const refreshPause = "1 second"

const make = Effect.gen(function* () {
  const cookies = yield* SessionCookie
  const sessions = yield* SignInSessions
  const signIn = yield* SignIn
  const fork = yield* FiberSet.makeRuntime()
  /** Sessions whose tokens are being refreshed for a request. */
  const refreshing = new Set<SessionIdHash>()

  const refresh = ({ cookie, session }: CheckedSession): void => {
    if (refreshing.has(cookie.idHash)) return
    refreshing.add(cookie.idHash)
    fork(
      signIn
        .refresh(cookie, session)
        .pipe(
          Effect.andThen(Effect.sleep(refreshPause)),
          Effect.ensuring(Effect.sync(() => refreshing.delete(cookie.idHash)))
        )
    )
  }

  const peekBy = ({ idHash }: VerifiedCookie, now: number) => sessions.peek(idHash, now)

  const findBy = (cookie: VerifiedCookie) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const known = peekBy(cookie, now)
      return known === undefined ? sessions.find(cookie.idHash) : Effect.succeedSome(known)
    })

  return SessionCheck.of({
    find: (cookieHeader) => {
      const cookie = cookies.verify(cookieHeader)
      if (cookie === undefined) return Effect.succeedNone
      return Effect.map(
        findBy(cookie),
        Option.map((session) => ({ cookie, session }))
      )
    },
    findBy,
    peekBy,
    used: (checked, now, { slides } = { slides: true }) => {
      const { cookie, session } = checked
      if (slides && now - session.lastSeenAt >= touchMillis) sessions.touch(cookie.idHash, now)
      if (session.refreshAt !== null && session.refreshAt <= now) refresh(checked)
    }
  })
})

/** `lastSeenAt`: now, where the request counts as use. */
export const toCurrentUser = (session: SignInSession, lastSeenAt: number): CurrentUser["Service"] => ({
  userId: session.userId,
  tenantId: session.tenantId,
  issuer: session.issuer,
  subject: session.subject,
  name: session.name,
  email: session.email,
  picture: session.picture,
  role: session.role,
  session: {
    id: session.id,
    createdAt: DateTime.makeUnsafe(session.createdAt),
    expiresAt: DateTime.makeUnsafe(session.expiresAt),
    idleExpiresAt: DateTime.makeUnsafe(idleExpiresAt({ ...session, lastSeenAt }))
  },
  token: null
})
