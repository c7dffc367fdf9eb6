import type { AuditAction } from "@edge-relay/domain/audit/AuditAction"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import type { SessionIdHash, SignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import { Clock, Duration, Effect, Option, Schedule } from "effect"
import { randomUUID } from "node:crypto"
import { coalesce } from "../internal/coalesce.ts"
import { Oidc } from "../provider/Oidc.ts"
import { seal, unseal } from "../provider/ProviderTokens.ts"
import type { VerifiedCookie } from "./SessionCookie.ts"
import * as Metrics from "../sign-in/SignInMetrics.ts"

/** A process that died while it refreshed blocks others no longer: a refresh takes one request's timeout. */
const lockMillis = 30_000

/** A provider that is away is asked again after this. */
const retryMillis = 30_000

/** How often those who wait for another process's refresh look. */
const lookEvery = Duration.millis(100)

/** The provider's codes that mean: this session is over there. Others are trouble that may pass. */
const endingCodes: ReadonlySet<string> = new Set(["invalid_grant", "access_denied"])

/**
 * Keeps the provider's tokens fresh, and the session no longer alive than the provider wants it: once for a
 * session at a time, in the whole cluster, since refresh tokens are used once (RFC 9700 §4.14.2).
 *
 * Gives `refresh(cookie, session)`: the session with fresh tokens, or none where it is over. Where it is not due,
 * it is the session as it was.
 */
export const makeTokenRefresh = Effect.gen(function* () {
  const oidc = yield* Oidc
  const sessions = yield* SignInSessions
  const audit = yield* AuditLog
  const scope = yield* Effect.scope
  const running = new Map<SessionIdHash, Effect.Effect<Option.Option<SignInSession>>>()

  /** The refresh token that nobody will use is taken back, where the provider lets us. */
  const revokeQuietly = (refreshToken: string | null) =>
    refreshToken === null
      ? Effect.void
      : oidc
          .revoke(refreshToken)
          .pipe(
            Effect.ignore({ log: "Debug", message: "a refresh token could not be revoked" }),
            Effect.forkIn(scope),
            Effect.asVoid
          )

  /** Nobody asked for it, so there is no address. What has happened stands, written down or not. */
  const record = (
    action: AuditAction,
    outcome: "success" | "failure",
    session: SignInSession,
    detail: string
  ) =>
    audit
      .record({ action, outcome, tenantId: session.tenantId, actor: session.userId, detail })
      .pipe(Effect.ignore({ log: "Error", message: "a refresh could not be written to the audit log" }))

  const ask = Effect.fnUntraced(function* (cookie: VerifiedCookie, session: SignInSession, owner: string) {
    const { idHash } = cookie
    const unlock = (tokens: { readonly sealed: string; readonly refreshAt: number | null } | null) =>
      sessions.unlockRefresh(idHash, owner, tokens)
    const tokens = unseal(cookie.id, session.sealed)
    if (Option.isNone(tokens)) {
      yield* unlock({ sealed: session.sealed, refreshAt: null })
      return
    }
    yield* oidc.refresh(tokens.value, session).pipe(
      Effect.matchEffect({
        onSuccess: ({ refreshAt, tokens }) =>
          Effect.gen(function* () {
            yield* Metrics.refreshed("done")
            yield* record("sign_in.refreshed", "success", session, session.id)
            const stored = yield* unlock({ sealed: seal(cookie.id, tokens), refreshAt })
            // Signed out meanwhile.
            if (!stored) yield* revokeQuietly(tokens.refreshToken)
          }),
        onFailure: (error) =>
          Effect.gen(function* () {
            const over =
              error._tag === "ProviderRefused" &&
              (error.reason === "untrusted" || endingCodes.has(error.code))
            yield* Metrics.refreshed(over ? "refused" : "unavailable")
            yield* Effect.logWarning(error.message).pipe(Effect.annotateLogs({ session: session.id }))
            const detail = `${session.id} ${over && error._tag === "ProviderRefused" ? error.code : "unavailable"}`
            yield* record("sign_in.refreshed", "failure", session, detail)
            if (over) {
              yield* sessions.end(idHash, "refused")
              yield* Metrics.sessionsEnded("refused", 1)
              yield* record("sign_in.ended", "success", session, `${session.id} refused`)
            } else {
              const now = yield* Clock.currentTimeMillis
              yield* unlock({ sealed: session.sealed, refreshAt: now + retryMillis })
            }
          })
      })
    )
  })

  const once = Effect.fnUntraced(function* (cookie: VerifiedCookie, session: SignInSession) {
    const owner = randomUUID()
    if (yield* sessions.lockRefresh(cookie.idHash, owner, lockMillis)) {
      const current = yield* sessions.read(cookie.idHash)
      // Another process may have been faster than our lock.
      if (Option.isSome(current) && current.value.sealed === session.sealed) {
        yield* ask(cookie, current.value, owner)
      } else {
        yield* sessions.unlockRefresh(cookie.idHash, owner, null)
      }
      return yield* sessions.read(cookie.idHash)
    }
    return yield* sessions.read(cookie.idHash).pipe(
      Effect.repeat({
        until: (current) => Option.isNone(current) || current.value.refreshAt !== session.refreshAt,
        schedule: Schedule.spaced(lookEvery).pipe(Schedule.upTo({ duration: Duration.millis(lockMillis) }))
      })
    )
  })

  const refresh = Effect.fnUntraced(function* (cookie: VerifiedCookie, session: SignInSession) {
    const now = yield* Clock.currentTimeMillis
    if (session.refreshAt === null || session.refreshAt > now) return Option.some(session)
    const shared =
      running.get(cookie.idHash) ??
      coalesce(
        once(cookie, session).pipe(
          // The database is away: the tokens are as good as they were.
          Effect.catchTag("StorageUnavailable", () => Effect.succeedSome(session)),
          Effect.ensuring(Effect.sync(() => running.delete(cookie.idHash)))
        ),
        scope
      )
    running.set(cookie.idHash, shared)
    return yield* shared
  })

  return { refresh, revokeQuietly }
})
