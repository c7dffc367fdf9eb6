import { AuditLog, type NewAuditEntry } from "@edge-relay/domain/audit/AuditLog"
import type { SignedInUser } from "@edge-relay/domain/sign-in/CurrentUser"
import type { EndReason, SignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import { sharedAddress } from "@edge-relay/domain/SharedAddress"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Duration, Effect } from "effect"
import { RateLimiter } from "effect/persistence"
import type { ProviderUnavailable } from "../provider/OidcError.ts"
import { SignInFailed, TooManySignIns } from "./SignInError.ts"
import * as Metrics from "./SignInMetrics.ts"

/** Who asks, for limits, lists and the audit log. */
export interface Origin {
  readonly address: string
  readonly userAgent: string
  readonly requestId: string | undefined
}

/** How many of each an address may have in a minute. */
export interface PerMinute {
  readonly begin?: number
  readonly callback?: number
  readonly backchannel?: number
}

/** A person signs in a few times a day, but many can be behind one address; a provider logs out whole companies. */
const defaultPerMinute = { begin: 60, callback: 60, backchannel: 600 }

/** Kinds of entries that are counted apart. */
const maxCounts = 200

/** Limits by address, and what is written down of sign-ins: audit log, metrics, log lines. */
export const makeRecords = Effect.fnUntraced(function* (given: PerMinute = {}) {
  const audit = yield* AuditLog
  const limiter = yield* RateLimiter.RateLimiter
  const perMinute = { ...defaultPerMinute, ...given }

  const limit = (
    what: keyof typeof defaultPerMinute,
    { address }: Origin
  ): Effect.Effect<unknown, TooManySignIns | StorageUnavailable> =>
    limiter
      .consume({
        key: `sign-in:${what}:${sharedAddress(address)}`,
        limit: perMinute[what],
        window: Duration.minutes(1)
      })
      .pipe(
        Effect.catch(({ reason }): Effect.Effect<never, TooManySignIns | StorageUnavailable> =>
          reason._tag === "RateLimitExceeded"
            ? Effect.fail(
                new TooManySignIns({ retryAfterSeconds: Math.ceil(Duration.toSeconds(reason.retryAfter)) })
              )
            : // Tries that are not counted would be unlimited ones.
              Effect.andThen(
                Effect.logError("sign-ins cannot be counted", reason),
                Effect.fail(new StorageUnavailable({ operation: "RateLimiter.consume", cause: reason }))
              )
        )
      )

  /** What happened has happened: it is not undone because it could not be written down. */
  const write = (entry: NewAuditEntry) =>
    Effect.ignore(audit.record(entry), {
      log: "Error",
      message: "a sign-in could not be written to the audit log"
    })

  /** Of nobody in particular, since the last minute. Whoever has no account must not fill the log. */
  const counts = new Map<string, { readonly entry: NewAuditEntry; count: number }>()

  const writeCounts = Effect.suspend(() => {
    const counted = Array.from(counts.values())
    counts.clear()
    return Effect.forEach(
      counted,
      ({ count, entry }) => write({ ...entry, detail: `${entry.detail ?? ""} ${count} in a minute`.trim() }),
      { discard: true }
    )
  })
  yield* writeCounts.pipe(Effect.delay(Duration.minutes(1)), Effect.forever, Effect.forkScoped)
  yield* Effect.addFinalizer(() => writeCounts)

  const record = (entry: NewAuditEntry, { address, requestId }: Origin) => {
    if (entry.tenantId !== undefined) return write({ ...entry, address, requestId })
    return Effect.sync(() => {
      const { action, detail, outcome } = entry
      const key = JSON.stringify([action, outcome, detail])
      // Codes are a provider's, and past some hundreds somebody's play with them.
      const found =
        counts.get(key) ?? (counts.size < maxCounts ? undefined : Array.from(counts.values()).at(-1))
      if (found === undefined) counts.set(key, { entry, count: 1 })
      else found.count++
    })
  }

  const owner = ({ tenantId, userId }: SignedInUser) => ({ tenantId, actor: userId })

  const recordEnded = (ended: ReadonlyArray<SignInSession>, reason: EndReason, origin: Origin) =>
    Effect.andThen(
      Metrics.sessionsEnded(reason, ended.length),
      Effect.forEach(
        ended,
        (session) =>
          record(
            {
              action: "sign_in.ended",
              outcome: "success",
              detail: `${session.id} ${reason}`,
              ...owner(session)
            },
            origin
          ),
        { discard: true }
      )
    )

  const fail = Effect.fnUntraced(function* (
    reason: SignInFailed["reason"],
    code: string,
    returnTo: string,
    origin: Origin
  ) {
    yield* Metrics.signInFailed(reason)
    yield* Effect.logInfo("sign-in failed").pipe(Effect.annotateLogs({ reason, code }))
    yield* record({ action: "sign_in.failed", outcome: "failure", detail: `${reason} ${code}` }, origin)
    return yield* new SignInFailed({ reason, code, returnTo })
  })

  const unavailable = Effect.fnUntraced(function* (error: ProviderUnavailable, origin: Origin) {
    yield* Metrics.signInFailed("unavailable")
    yield* Effect.logWarning(error.message).pipe(Effect.annotateLogs({ because: error.because }))
    const detail = `unavailable ${error.operation}`
    yield* record({ action: "sign_in.failed", outcome: "failure", detail }, origin)
    return yield* error
  })

  return { limit, record, recordEnded, fail, unavailable, owner }
})
