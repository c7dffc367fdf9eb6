import { Context, type Effect, type Option } from "effect"
import type { SignInSessionId } from "../ids/SignInSessionId.ts"
import type { TenantId } from "../ids/TenantId.ts"
import type { UserId } from "../ids/UserId.ts"
import {
  type EndReason,
  type NewSignInSession,
  type PendingSignIn,
  type ProviderLogout,
  type RememberedSignIn,
  type SealedTokens,
  type SessionIdHash,
  type SignedOutMeanwhile,
  type SignInSession,
  type TakenSignIn
} from "./SignInSession.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"

/**
 * The store of what session cookies stand for: browsers that are signing in, and sessions that are signed in.
 *
 * One browser has at most one session and at most 32 sign-ins under way; they stay with the browser when its
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

    /** What a state was about, for whoever it is sent back to: within an hour, finished or not. */
    readonly remembered: (state: string) => Effect.Effect<Option.Option<RememberedSignIn>, StorageUnavailable>

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
     * Ends what a provider's logout token names, and remembers it for the sign-ins that it overtakes. Crosses tenants,
     * since a provider does not know of ours. Answers which; none where that token was used before. Where it fails,
     * the token counts as unused, and may be sent again.
     */
    readonly endByProvider: (
      logout: ProviderLogout
    ) => Effect.Effect<Option.Option<ReadonlyArray<SignInSession>>, StorageUnavailable>

    /**
     * Whether the provider has logged somebody out since their ID token was made (`issuedAt`, the provider's clock,
     * seconds), or in that very second and since their sign-in began (`startedAt`, ours, milliseconds). Asked after
     * `signIn`: whichever of the two comes last then sees the other.
     */
    readonly isLoggedOut: (
      session: Pick<SignInSession, "issuer" | "subject" | "sid">,
      since: { readonly issuedAt: number; readonly startedAt: number }
    ) => Effect.Effect<boolean, StorageUnavailable>

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
>()("@edge-relay/domain/sign-in/SignInSessions") {}
