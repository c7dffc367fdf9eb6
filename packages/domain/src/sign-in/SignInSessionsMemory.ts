import { Clock, Effect, Layer, Option } from "effect"
import { PendingSignIns } from "./PendingSignIns.ts"
import {
  type EndReason,
  isLive,
  logoutKey,
  logoutMillis,
  type ProviderLogout,
  type SessionIdHash,
  SignedOutMeanwhile,
  type SignInSession
} from "./SignInSession.ts"
import { SignInSessions } from "./SignInSessions.ts"
import { SignInSessionWatch } from "./SignInSessionWatch.ts"

/** `SignInSessions` in this process's memory: for one server, and for tests. */
export const layer = Layer.effect(
  SignInSessions,
  Effect.suspend(() => make)
)

/** How often time is looked at: watchers learn of an expired session within a second. */
const tickMillis = 500

const make = Effect.gen(function* () {
  const sessions = new Map<SessionIdHash, SignInSession>()
  const pendingSignIns = new PendingSignIns()
  const locks = new Map<SessionIdHash, { readonly owner: string; readonly until: number }>()
  const used = new Map<string, number>()
  const logouts = new Map<string, ProviderLogout & { readonly arrivedAt: number }>()
  const watch = new SignInSessionWatch()

  const isUsed = (key: string, now: number) => (used.get(key) ?? 0) > now

  const liveOf = (id: SessionIdHash, now: number): SignInSession | undefined => {
    const session = sessions.get(id)
    return session !== undefined && isLive(session, now) ? session : undefined
  }

  const remove = (session: SignInSession, reason: EndReason, now: number) => {
    sessions.delete(session.idHash)
    locks.delete(session.idHash)
    watch.fire(session.id, reason, now)
  }

  const endWhere = (test: (session: SignInSession) => boolean, reason: EndReason, now: number) => {
    const ended = Array.from(sessions.values()).filter((session) => isLive(session, now) && test(session))
    for (const session of ended) remove(session, reason, now)
    return ended
  }

  const withNow = <A>(f: (now: number) => A) => Effect.map(Clock.currentTimeMillis, f)

  yield* withNow((now) => {
    for (const session of sessions.values()) if (!isLive(session, now)) remove(session, "expired", now)
    for (const [key, until] of used) if (until <= now) used.delete(key)
    for (const [key, { arrivedAt }] of logouts) if (arrivedAt + logoutMillis <= now) logouts.delete(key)
    pendingSignIns.dropOld(now)
  }).pipe(Effect.delay(tickMillis), Effect.forever, Effect.forkScoped)

  const find = (id: SessionIdHash) => withNow((now) => Option.fromUndefinedOr(liveOf(id, now)))

  return SignInSessions.of({
    addPending: (id, pending, { fresh }) =>
      withNow((now) => {
        const session = liveOf(id, now)
        const browser = session?.browser ?? id
        if (!fresh && session === undefined && !pendingSignIns.has(browser, now)) return false
        pendingSignIns.add(browser, pending, now)
        return true
      }),

    takePending: (id, state) =>
      withNow((now) => {
        const session = liveOf(id, now)
        const browser = session?.browser ?? id
        return Option.map(pendingSignIns.take(browser, state, now), (taken) => ({
          ...taken,
          browser,
          signedIn: session !== undefined
        }))
      }),

    remembered: (state) => withNow((now) => pendingSignIns.remembered(state, now)),

    signIn: (taken, session) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const former = Array.from(sessions.values()).filter(({ browser }) => browser === taken.browser)
        if (taken.signedIn && !former.some((one) => isLive(one, now))) return new SignedOutMeanwhile()
        for (const one of former) remove(one, "replaced", now)
        const sameUser = former.every(({ userId }) => userId === session.userId)
        if (!sameUser) pendingSignIns.drop(taken.browser)
        const browser = sameUser ? taken.browser : session.idHash
        const begun: SignInSession = { ...session, browser, lastSeenAt: session.createdAt }
        sessions.set(begun.idHash, begun)
        return Effect.succeed(begun)
      }),

    find,
    read: find,
    peek: liveOf,

    touch: (id, now) => {
      const session = liveOf(id, now)
      if (session === undefined || session.lastSeenAt >= now) return
      const touched = { ...session, lastSeenAt: now }
      sessions.set(id, touched)
      watch.update(touched)
    },

    list: (tenantId, userId) =>
      withNow((now) =>
        Array.from(sessions.values())
          .filter((one) => one.tenantId === tenantId && one.userId === userId && isLive(one, now))
          .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1))
      ),

    end: (id, reason) =>
      withNow((now) => {
        const session = liveOf(id, now)
        if (session === undefined) return Option.none()
        pendingSignIns.drop(session.browser)
        remove(session, reason, now)
        return Option.some(session)
      }),

    endOne: (tenantId, userId, id) =>
      withNow((now) => {
        const [ended] = endWhere(
          (one) => one.tenantId === tenantId && one.userId === userId && one.id === id,
          "revoked",
          now
        )
        return Option.fromUndefinedOr(ended)
      }),

    endOthers: (tenantId, userId, except) =>
      withNow((now) =>
        endWhere(
          (one) => one.tenantId === tenantId && one.userId === userId && one.id !== except,
          "revoked",
          now
        )
      ),

    endByProvider: (logout) =>
      withNow((now) => {
        const key = logoutKey(logout)
        if (isUsed(key, now)) return Option.none()
        used.set(key, logout.expiresAt)
        logouts.set(key, { ...logout, arrivedAt: now })
        return Option.some(endWhere((session) => isNamed(session, logout), "provider", now))
      }),

    isLoggedOut: (session, { issuedAt, startedAt }) =>
      Effect.sync(() =>
        Array.from(logouts.values()).some(
          (logout) =>
            isNamed(session, logout) &&
            (logout.issuedAt > issuedAt || (logout.issuedAt === issuedAt && logout.arrivedAt >= startedAt))
        )
      ),

    lockRefresh: (id, owner, millis) =>
      withNow((now) => {
        const lock = locks.get(id)
        if (liveOf(id, now) === undefined || (lock !== undefined && lock.until > now)) return false
        locks.set(id, { owner, until: now + millis })
        return true
      }),

    unlockRefresh: (id, owner, tokens) =>
      withNow((now) => {
        const session = liveOf(id, now)
        if (session === undefined || locks.get(id)?.owner !== owner) return false
        locks.delete(id)
        if (tokens !== null) sessions.set(id, { ...session, ...tokens })
        return true
      }),

    useOnce: (key, until) =>
      withNow((now) => {
        if (isUsed(key, now)) return false
        used.set(key, until)
        return true
      }),

    count: withNow((now) => Array.from(sessions.values()).filter((one) => isLive(one, now)).length),

    watch: (session, onEnded) => watch.watch(session, onEnded)
  })
})

const isNamed = (
  session: Pick<SignInSession, "issuer" | "subject" | "sid">,
  { issuer, sid, subject }: ProviderLogout
): boolean =>
  session.issuer === issuer &&
  (sid !== null || subject !== null) &&
  (subject === null || session.subject === subject) &&
  (sid === null || session.sid === sid)
