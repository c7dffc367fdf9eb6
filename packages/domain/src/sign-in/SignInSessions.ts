import { Clock, Context, Effect, Layer, Option } from "effect"
import type { SignInSessionId } from "../ids/SignInSessionId.ts"
import type { TenantId } from "../ids/TenantId.ts"
import type { UserId } from "../ids/UserId.ts"
import {
  type EndReason,
  isLive,
  type NewSignInSession,
  type PendingSignIn,
  type SealedTokens,
  type SessionIdHash,
  SignedOutMeanwhile,
  type SignInSession,
  type TakenSignIn
} from "./SignInSession.ts"
import { PendingSignIns } from "./PendingSignIns.ts"
import { SignInSessionWatch } from "./SignInSessionWatch.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"

/**
 * The store of what session cookies stand for: browsers that are signing in, and sessions that are signed in.
 *
 * One browser has at most one session and at most seven sign-ins under way; they stay with the browser when its
 * session id is replaced, so that every tab that finishes lands where it began.
 */
export class SignInSessions extends Context.Service<
  SignInSessions,
  {
    /**
     * Remembers a sign-in that has begun in the browser that `id` names. Answers false, and keeps nothing, where
     * that id is neither signed in nor signing in, unless it is `fresh`: an id that only a cookie knows of is
     * not taken up (fixation).
     */
    readonly addPending: (
      id: SessionIdHash,
      pending: PendingSignIn,
      options: { readonly fresh: boolean }
    ) => Effect.Effect<boolean, StorageUnavailable>

    /** Takes the pending sign-in of that state, once, if it is this browser's and younger than 10 minutes. */
    readonly takePending: (
      id: SessionIdHash,
      state: string
    ) => Effect.Effect<Option.Option<TakenSignIn>, StorageUnavailable>

    /**
     * Signs a browser in, under a new id. Whoever was signed in there is out at once (`replaced`); if that was
     * somebody else, the browser's pending sign-ins are dropped with it.
     */
    readonly signIn: (
      taken: TakenSignIn,
      session: NewSignInSession
    ) => Effect.Effect<SignInSession, SignedOutMeanwhile | StorageUnavailable>

    /** The live session of a cookie; from this process's memory where it is there, then at most 1 s old. */
    readonly find: (id: SessionIdHash) => Effect.Effect<Option.Option<SignInSession>, StorageUnavailable>

    /** As `find`, but never from this process's memory: for what another process may just have changed. */
    readonly read: (id: SessionIdHash) => Effect.Effect<Option.Option<SignInSession>, StorageUnavailable>

    /** As `find`, synchronously. Undefined says nothing but that memory does not know: ask `find`. */
    readonly peek: (id: SessionIdHash, now: number) => SignInSession | undefined

    /** Something was asked in this session: its idle end moves. Other processes learn of it within 15 s. */
    readonly touch: (id: SessionIdHash, now: number) => void

    /** A user's live sessions, newest first. */
    readonly list: (
      tenantId: TenantId,
      userId: UserId
    ) => Effect.Effect<ReadonlyArray<SignInSession>, StorageUnavailable>

    /** Ends the session of a cookie, and the sign-ins under way in its browser; answers what it ended. */
    readonly end: (
      id: SessionIdHash,
      reason: EndReason
    ) => Effect.Effect<Option.Option<SignInSession>, StorageUnavailable>

    /** Ends one of a user's sessions by its public id; none where that user has none of that id. */
    readonly endOne: (
      tenantId: TenantId,
      userId: UserId,
      id: SignInSessionId
    ) => Effect.Effect<Option.Option<SignInSession>, StorageUnavailable>

    /** Ends all of a user's sessions but one; answers which. */
    readonly endOthers: (
      tenantId: TenantId,
      userId: UserId,
      except: SignInSessionId
    ) => Effect.Effect<ReadonlyArray<SignInSession>, StorageUnavailable>

    /**
     * Ends what a provider's logout token names: the sessions of its `sid`, of its `subject`, or where it names
     * both, of both together. Crosses tenants, since a provider does not know of ours. Answers which.
     */
    readonly endByProvider: (
      issuer: string,
      named: { readonly subject: string | null; readonly sid: string | null }
    ) => Effect.Effect<ReadonlyArray<SignInSession>, StorageUnavailable>

    /** Takes the right to refresh a session's tokens, for the whole cluster, for `millis` at most. */
    readonly lockRefresh: (
      id: SessionIdHash,
      owner: string,
      millis: number
    ) => Effect.Effect<boolean, StorageUnavailable>

    /** Gives that right back, with what came of it. False where session or right are gone: nothing is stored. */
    readonly unlockRefresh: (
      id: SessionIdHash,
      owner: string,
      tokens: SealedTokens | null
    ) => Effect.Effect<boolean, StorageUnavailable>

    /** True for the first who uses a key, false until `until` for all others (a logout token's `jti`). */
    readonly useOnce: (key: string, until: number) => Effect.Effect<boolean, StorageUnavailable>

    /** How many sessions are live. */
    readonly count: Effect.Effect<number, StorageUnavailable>

    /**
     * Calls back once, when the session ends: at once where this process ends it, within a second where another
     * does or its time is up, and also where it ended in the last minute. Answers how to stop watching.
     */
    readonly watch: (session: SignInSession, onEnded: (reason: EndReason) => void) => () => void
  }
>()("@edge-relay/domain/sign-in/SignInSessions") {
  /** In this process, and gone with it. */
  static readonly layerMemory = Layer.effect(
    SignInSessions,
    Effect.suspend(() => makeMemory)
  )
}

/** How often time is looked at: watchers learn of an expired session within a second. */
const tickMillis = 500

const makeMemory = Effect.gen(function* () {
  const sessions = new Map<SessionIdHash, SignInSession>()
  const pendingSignIns = new PendingSignIns()
  const locks = new Map<SessionIdHash, { readonly owner: string; readonly until: number }>()
  const used = new Map<string, number>()
  const watch = new SignInSessionWatch()

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

    endByProvider: (issuer, { sid, subject }) =>
      withNow((now) => {
        if (sid === null && subject === null) return []
        return endWhere(
          (one) =>
            one.issuer === issuer &&
            (subject === null || one.subject === subject) &&
            (sid === null || one.sid === sid),
          "provider",
          now
        )
      }),

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
        if ((used.get(key) ?? 0) > now) return false
        used.set(key, until)
        return true
      }),

    count: withNow((now) => Array.from(sessions.values()).filter((one) => isLive(one, now)).length),

    watch: (session, onEnded) => watch.watch(session, onEnded)
  })
})
