import type { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import {
  type EndReason,
  logoutMillis,
  pendingMillis,
  rememberedMillis,
  type SessionIdHash,
  type SignInSession
} from "@edge-relay/domain/sign-in/SignInSession"
import type { SignInSessionWatch } from "@edge-relay/domain/sign-in/SignInSessionWatch"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Clock, Duration, Effect, Option, Schedule } from "effect"
import type { Statement } from "effect/sql"
import { Database } from "../database/Database.ts"
import type { SignInSessionCache } from "./SignInSessionCache.ts"

/** Leaves half a second of the second that an end may take to be known everywhere. */
const tick = Duration.millis(400)

/** How far back the list of ended sessions is read: other servers' clocks, and commits that took their time. */
const overlapMillis = 30_000

/** How long the list is kept, for a server that could not read it. */
const endedMillis = 10 * 60_000

/** How often the use of sessions is written. */
const flushEvery = Duration.seconds(10)

const cleanEvery = Duration.minutes(1)

/** A session that is over may have been used in a server that has not written so yet. */
const graceMillis = 60_000

/**
 * What runs in the background for sign-in sessions, for as long as the scope lasts: learning what other servers
 * have ended, telling those who watch of what has expired, writing down use, dropping what is over.
 */
export const keepUp = Effect.fnUntraced(function* ({
  cache,
  live,
  read,
  watch
}: {
  readonly cache: SignInSessionCache
  readonly watch: SignInSessionWatch
  readonly read: (id: SessionIdHash) => Effect.Effect<Option.Option<SignInSession>, StorageUnavailable>
  /** The condition that a session is not over. */
  readonly live: (now: number) => Statement.Fragment
}) {
  const { run, sql, transaction } = yield* Database

  /** What other servers have ended since the list was last read. */
  const learn = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const watched = watch.watched()
    if (cache.isEmpty && watched.length === 0) return cache.checked(now)
    const behind = now - cache.checkedAt
    if (behind > endedMillis - overlapMillis) {
      // Longer away than the list goes back.
      cache.clear()
      for (const session of watched) {
        if (Option.isNone(yield* read(session.idHash))) watch.fire(session.id, "expired", now)
      }
    }
    const since = now - overlapMillis - Math.min(behind, endedMillis)
    const rows = yield* run(
      "SignInSessions.learn",
      sql<{
        readonly id: SignInSessionId
        readonly id_hash: SessionIdHash
        readonly reason: EndReason
      }>`SELECT id, id_hash, reason FROM sign_in_ended WHERE ended_at > ${since}`
    )
    for (const row of rows) {
      cache.delete(row.id_hash)
      watch.fire(row.id, row.reason, now)
    }
    cache.checked(now)
  })

  /** Watched sessions whose time is up here may have been used elsewhere. */
  const expire = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const session of watch.due(now)) {
      if (Option.isNone(yield* read(session.idHash))) watch.fire(session.id, "expired", now)
    }
  })

  const flush = Effect.suspend(() => {
    const touched = cache.takeTouched()
    if (touched.length === 0) return Effect.void
    return transaction(
      "SignInSessions.flush",
      Effect.forEach(
        touched,
        ([id, at]) => sql`UPDATE sign_in_sessions SET last_seen_at = ${at}
          WHERE id_hash = ${id} AND last_seen_at < ${at} AND ${live(at)}`,
        { discard: true }
      )
    ).pipe(Effect.tapError(() => Effect.sync(() => touched.forEach(([id, at]) => cache.touch(id, at)))))
  })

  const clean = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    transaction(
      "SignInSessions.clean",
      Effect.gen(function* () {
        yield* sql`DELETE FROM sign_in_sessions WHERE NOT (${live(now - graceMillis)})`
        yield* sql`DELETE FROM sign_in_pending WHERE started_at <= ${now - rememberedMillis}`
        yield* sql`DELETE FROM sign_in_browsers WHERE touched_at <= ${now - pendingMillis}`
        yield* sql`DELETE FROM sign_in_ended WHERE ended_at <= ${now - endedMillis}`
        yield* sql`DELETE FROM sign_in_logouts WHERE arrived_at <= ${now - logoutMillis}`
        yield* sql`DELETE FROM sign_in_used WHERE used_until <= ${now}`
      })
    )
  )

  const forever = (effect: Effect.Effect<void, StorageUnavailable>, every: Duration.Duration) =>
    effect.pipe(
      // The database says itself that it is away, and memory is not believed until it is back.
      Effect.ignore,
      Effect.ignoreCause({ log: "Error", message: "the upkeep of sign-in sessions failed" }),
      Effect.repeat(Schedule.spaced(every)),
      Effect.forkScoped
    )
  yield* forever(Effect.andThen(learn, expire), tick)
  yield* forever(flush, flushEvery)
  yield* forever(clean, cleanEvery)
  yield* Effect.addFinalizer(() => Effect.ignore(flush))
})
