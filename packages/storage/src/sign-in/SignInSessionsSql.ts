import {
  type EndReason,
  isLive,
  logoutKey,
  maxPendingOfAll,
  type SessionIdHash,
  SignedOutMeanwhile,
  type SignInSession
} from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import { SignInSessionWatch } from "@edge-relay/domain/sign-in/SignInSessionWatch"
import { Array as Arr, Clock, Effect, Layer, Option } from "effect"
import type { Statement } from "effect/sql"
import { Database } from "../database/Database.ts"
import * as PendingSignInsSql from "./PendingSignInsSql.ts"
import { SignInSessionCache } from "./SignInSessionCache.ts"
import { type SessionRow, toRow, toSession } from "./SignInSessionRow.ts"
import { keepUp } from "./SignInSessionUpkeep.ts"

/**
 * Sign-in sessions in SQL, with this process's memory before it. Each server reads twice a second what others
 * have ended; their clocks may differ by less than half a minute.
 */

/** `mostPending`: sign-ins under way that are kept of all browsers together. */
export const layerWith = ({ mostPending }: { readonly mostPending: number }) =>
  Layer.effect(
    SignInSessions,
    Effect.suspend(() => make(mostPending))
  )

export const layer = layerWith({ mostPending: maxPendingOfAll })

const make = Effect.fnUntraced(function* (mostPending: number) {
  const { run, sql, transaction } = yield* Database
  const watch = new SignInSessionWatch()
  const cache = new SignInSessionCache(watch, yield* Clock.currentTimeMillis)

  const select = (operation: string, where: Statement.Fragment) =>
    Effect.map(run(operation, sql<SessionRow>`SELECT * FROM sign_in_sessions WHERE ${where}`), (rows) =>
      rows.map(toSession)
    )

  const read = Effect.fnUntraced(function* (id: SessionIdHash) {
    const [found] = yield* select("SignInSessions.read", sql`id_hash = ${id}`)
    const now = yield* Clock.currentTimeMillis
    if (found === undefined) cache.delete(id)
    return Option.fromUndefinedOr(found === undefined ? undefined : cache.put(found, now))
  })

  const find = (id: SessionIdHash) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const known = cache.get(id, now)
      return known === undefined ? read(id) : Effect.succeedSome(known)
    })

  /** Deletes sessions and lists them as ended; within a transaction. */
  const remove = Effect.fnUntraced(function* (where: Statement.Fragment, reason: EndReason, now: number) {
    const rows = yield* sql<SessionRow>`DELETE FROM sign_in_sessions WHERE ${where} RETURNING *`
    const removed = rows.map(toSession)
    // 500 rows of four parameters stay below SQLite's bound of 32,766.
    for (const chunk of Arr.chunksOf(removed, 500)) {
      const ended = chunk.map(({ id, idHash }) => ({ id, id_hash: idHash, reason, ended_at: now }))
      if (Arr.isArrayNonEmpty(ended)) yield* sql`INSERT INTO sign_in_ended ${sql.insert(ended)}`
    }
    return removed
  })

  /** Within a transaction. */
  const useOnce = (key: string, until: number, now: number) =>
    Effect.map(
      sql`INSERT INTO sign_in_used ${sql.insert({ used_key: key, used_until: until })}
        ON CONFLICT (used_key) DO UPDATE SET used_until = excluded.used_until
        WHERE sign_in_used.used_until <= ${now} RETURNING used_key`,
      (used) => used.length > 0
    )

  /** After the transaction: who watches learns of it. */
  const announce = (sessions: ReadonlyArray<SignInSession>, reason: EndReason, now: number) => {
    for (const { id, idHash } of sessions) {
      cache.delete(idHash)
      watch.fire(id, reason, now)
    }
  }

  const endWhere = Effect.fnUntraced(function* (
    operation: string,
    where: Statement.Fragment,
    reason: EndReason
  ) {
    const now = yield* Clock.currentTimeMillis
    const removed = yield* transaction(operation, remove(where, reason, now))
    announce(removed, reason, now)
    return removed.filter((session) => isLive(session, now))
  })

  const live = (now: number) => sql`expires_at > ${now} AND last_seen_at + idle_millis > ${now}`

  yield* keepUp({ cache, watch, read, live })
  const pending = yield* PendingSignInsSql.make({ find, read, mostPending })

  return SignInSessions.of({
    ...pending,

    signIn: Effect.fn("SignInSessions.signIn")(function* (taken, session) {
      const now = yield* Clock.currentTimeMillis
      const { begun, former } = yield* transaction(
        "SignInSessions.signIn",
        Effect.gen(function* () {
          yield* sql`INSERT INTO sign_in_browsers ${sql.insert({ browser: taken.browser, touched_at: now })}
            ON CONFLICT (browser) DO UPDATE SET touched_at = excluded.touched_at`
          const former = yield* remove(sql`browser = ${taken.browser}`, "replaced", now)
          if (taken.signedIn && !former.some((one) => isLive(one, now)))
            return yield* new SignedOutMeanwhile()
          const sameUser = former.every(({ userId }) => userId === session.userId)
          if (!sameUser) yield* sql`DELETE FROM sign_in_pending WHERE browser = ${taken.browser}`
          const begun: SignInSession = {
            ...session,
            browser: sameUser ? taken.browser : session.idHash,
            lastSeenAt: session.createdAt
          }
          yield* sql`INSERT INTO sign_in_sessions ${sql.insert(toRow(begun))}`
          return { begun, former }
        })
      )
      announce(former, "replaced", now)
      cache.put(begun, now)
      return begun
    }),

    find,
    read,
    peek: (id, now) => cache.get(id, now),
    touch: (id, now) => cache.touch(id, now),

    list: (tenantId, userId) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        select(
          "SignInSessions.list",
          sql`tenant_id = ${tenantId} AND user_id = ${userId} AND ${live(now)} ORDER BY created_at DESC, id DESC`
        )
      ),

    end: Effect.fn("SignInSessions.end")(function* (id, reason) {
      const now = yield* Clock.currentTimeMillis
      const removed = yield* transaction(
        "SignInSessions.end",
        Effect.gen(function* () {
          const removed = yield* remove(sql`id_hash = ${id}`, reason, now)
          for (const { browser } of removed)
            yield* sql`DELETE FROM sign_in_pending WHERE browser = ${browser}`
          return removed
        })
      )
      announce(removed, reason, now)
      return Arr.findFirst(removed, (session) => isLive(session, now))
    }),

    endOne: Effect.fn("SignInSessions.endOne")(function* (tenantId, userId, id) {
      const mine = sql`tenant_id = ${tenantId} AND user_id = ${userId} AND id = ${id}`
      return Arr.head(yield* endWhere("SignInSessions.endOne", mine, "revoked"))
    }),

    endOthers: (tenantId, userId, except) =>
      endWhere(
        "SignInSessions.endOthers",
        sql`tenant_id = ${tenantId} AND user_id = ${userId} AND id <> ${except}`,
        "revoked"
      ),

    endByProvider: Effect.fn("SignInSessions.endByProvider")(function* (logout) {
      const { issuedAt, issuer, sid, subject } = logout
      const key = logoutKey(logout)
      const now = yield* Clock.currentTimeMillis
      const before = yield* run(
        "SignInSessions.endByProvider",
        sql`SELECT 1 FROM sign_in_used WHERE used_key = ${key} AND used_until > ${now}`
      )
      if (before.length > 0) return Option.none()
      // Committed before any session is looked for: a sign-in that commits meanwhile sees this, or is seen.
      yield* run(
        "SignInSessions.endByProvider",
        sql`INSERT INTO sign_in_logouts ${sql.insert({
          logout_key: key,
          issuer,
          subject,
          sid,
          issued_at: issuedAt,
          arrived_at: now
        })} ON CONFLICT (logout_key) DO NOTHING`
      )
      const removed = yield* transaction(
        "SignInSessions.endByProvider",
        Effect.gen(function* () {
          if (!(yield* useOnce(key, logout.expiresAt, now))) return undefined
          if (sid === null && subject === null) return []
          const named = [
            sql`issuer = ${issuer}`,
            ...(subject === null ? [] : [sql`subject = ${subject}`]),
            ...(sid === null ? [] : [sql`sid = ${sid}`])
          ]
          return yield* remove(sql.and(named), "provider", now)
        })
      )
      if (removed === undefined) return Option.none()
      announce(removed, "provider", now)
      return Option.some(removed.filter((session) => isLive(session, now)))
    }),

    isLoggedOut: ({ issuer, sid, subject }, { issuedAt, startedAt }) =>
      Effect.map(
        run(
          "SignInSessions.isLoggedOut",
          sql`SELECT 1 FROM sign_in_logouts WHERE issuer = ${issuer} AND issued_at >= ${issuedAt}
            AND (issued_at > ${issuedAt} OR arrived_at >= ${startedAt})
            AND (subject IS NULL OR subject = ${subject}) AND (sid IS NULL OR sid = ${sid}) LIMIT 1`
        ),
        (logouts) => logouts.length > 0
      ),

    lockRefresh: Effect.fn("SignInSessions.lockRefresh")(function* (id, owner, millis) {
      const now = yield* Clock.currentTimeMillis
      const locked = yield* run(
        "SignInSessions.lockRefresh",
        sql`UPDATE sign_in_sessions SET refresh_owner = ${owner}, refresh_until = ${now + millis}
          WHERE id_hash = ${id} AND ${live(now)} AND (refresh_until IS NULL OR refresh_until <= ${now})
          RETURNING id`
      )
      return locked.length > 0
    }),

    unlockRefresh: Effect.fn("SignInSessions.unlockRefresh")(function* (id, owner, tokens) {
      const stored =
        tokens === null
          ? sql`refresh_owner = NULL`
          : sql`refresh_owner = NULL, sealed = ${tokens.sealed}, refresh_at = ${tokens.refreshAt}`
      const [row] = yield* run(
        "SignInSessions.unlockRefresh",
        sql<SessionRow>`UPDATE sign_in_sessions SET refresh_until = NULL, ${stored}
          WHERE id_hash = ${id} AND refresh_owner = ${owner} RETURNING *`
      )
      const now = yield* Clock.currentTimeMillis
      return row !== undefined && cache.put(toSession(row), now) !== undefined
    }),

    useOnce: (key, until) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        transaction("SignInSessions.useOnce", useOnce(key, until, now))
      ),

    count: Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.map(
        run(
          "SignInSessions.count",
          sql<{
            readonly live: number | bigint
          }>`SELECT count(*) AS live FROM sign_in_sessions WHERE ${live(now)}`
        ),
        ([row]) => Number(row?.live ?? 0)
      )
    ),

    watch: (session, onEnded) => watch.watch(session, onEnded)
  })
})
