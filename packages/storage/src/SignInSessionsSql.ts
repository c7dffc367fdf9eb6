import type { SignInSessionId, TenantId, UserId } from "@edge-relay/domain/CurrentUser"
import {
  type EndReason,
  isLive,
  maxPending,
  pendingMillis,
  type SessionIdHash,
  SignedOutMeanwhile,
  type SignInSession
} from "@edge-relay/domain/SignInSession"
import { SignInSessions } from "@edge-relay/domain/SignInSessions"
import { SignInSessionWatch } from "@edge-relay/domain/SignInSessionWatch"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Array as Arr, Clock, Duration, Effect, Layer, Option, Schedule } from "effect"
import type { Statement } from "effect/sql"
import { Database } from "./Database.ts"
import { SignInSessionCache } from "./SignInSessionCache.ts"

/**
 * Sign-in sessions in SQL, with this process's memory before it. Each server reads twice a second what others
 * have ended; their clocks may differ by less than half a minute.
 */

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

interface Row {
  readonly id_hash: SessionIdHash
  readonly id: SignInSessionId
  readonly browser: SessionIdHash
  readonly tenant_id: TenantId
  readonly user_id: UserId
  readonly issuer: string
  readonly subject: string
  readonly sid: string | null
  readonly name: string | null
  readonly email: string | null
  readonly picture: string | null
  readonly address: string
  readonly user_agent: string
  readonly created_at: number | bigint
  readonly last_seen_at: number | bigint
  readonly idle_millis: number | bigint
  readonly expires_at: number | bigint
  readonly sealed: string
  readonly refresh_at: number | bigint | null
}

interface PendingRow {
  readonly state: string
  readonly nonce: string
  readonly code_verifier: string
  readonly return_to: string
  readonly started_at: number | bigint
}

const toSession = (row: Row): SignInSession => ({
  id: row.id,
  idHash: row.id_hash,
  browser: row.browser,
  tenantId: row.tenant_id,
  userId: row.user_id,
  issuer: row.issuer,
  subject: row.subject,
  sid: row.sid,
  name: row.name,
  email: row.email,
  picture: row.picture,
  address: row.address,
  userAgent: row.user_agent,
  createdAt: Number(row.created_at),
  lastSeenAt: Number(row.last_seen_at),
  idleMillis: Number(row.idle_millis),
  expiresAt: Number(row.expires_at),
  sealed: row.sealed,
  refreshAt: row.refresh_at === null ? null : Number(row.refresh_at)
})

const toRow = (session: SignInSession) => ({
  id_hash: session.idHash,
  id: session.id,
  browser: session.browser,
  tenant_id: session.tenantId,
  user_id: session.userId,
  issuer: session.issuer,
  subject: session.subject,
  sid: session.sid,
  name: session.name,
  email: session.email,
  picture: session.picture,
  address: session.address,
  user_agent: session.userAgent,
  created_at: session.createdAt,
  last_seen_at: session.lastSeenAt,
  idle_millis: session.idleMillis,
  expires_at: session.expiresAt,
  sealed: session.sealed,
  refresh_at: session.refreshAt
})

export const layer = Layer.effect(
  SignInSessions,
  Effect.suspend(() => make)
)

const make = Effect.gen(function* () {
  const { run, sql, transaction } = yield* Database
  const watch = new SignInSessionWatch()
  const cache = new SignInSessionCache(watch, yield* Clock.currentTimeMillis)

  const select = (operation: string, where: Statement.Fragment) =>
    Effect.map(run(operation, sql<Row>`SELECT * FROM sign_in_sessions WHERE ${where}`), (rows) =>
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
    const rows = yield* sql<Row>`DELETE FROM sign_in_sessions WHERE ${where} RETURNING *`
    const removed = rows.map(toSession)
    // 500 rows of four parameters stay below SQLite's bound of 32,766.
    for (const chunk of Arr.chunksOf(removed, 500)) {
      const ended = chunk.map(({ id, idHash }) => ({ id, id_hash: idHash, reason, ended_at: now }))
      if (Arr.isArrayNonEmpty(ended)) yield* sql`INSERT INTO sign_in_ended ${sql.insert(ended)}`
    }
    return removed
  })

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
        yield* sql`DELETE FROM sign_in_pending WHERE started_at <= ${now - pendingMillis}`
        yield* sql`DELETE FROM sign_in_browsers WHERE touched_at <= ${now - pendingMillis}`
        yield* sql`DELETE FROM sign_in_ended WHERE ended_at <= ${now - endedMillis}`
        yield* sql`DELETE FROM sign_in_used WHERE used_until <= ${now}`
      })
    )
  )

  const forever = (effect: Effect.Effect<void, StorageUnavailable>, every: Duration.Duration) =>
    effect.pipe(
      // The database says itself that it is away, and memory is not believed until it is back.
      Effect.ignore,
      Effect.ignoreCause({ log: "Error" }),
      Effect.repeat(Schedule.spaced(every)),
      Effect.forkScoped
    )
  yield* forever(Effect.andThen(learn, expire), tick)
  yield* forever(flush, flushEvery)
  yield* forever(clean, cleanEvery)
  yield* Effect.addFinalizer(() => Effect.ignore(flush))

  return SignInSessions.of({
    addPending: Effect.fn("SignInSessions.addPending")(function* (id, pending, { fresh }) {
      const session = yield* find(id)
      const browser = Option.isSome(session) ? session.value.browser : id
      return yield* transaction(
        "SignInSessions.addPending",
        Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          if (!fresh && Option.isNone(session)) {
            const others = yield* sql`SELECT 1 FROM sign_in_pending
              WHERE browser = ${browser} AND started_at > ${now - pendingMillis} LIMIT 1`
            if (others.length === 0) return false
          }
          yield* sql`INSERT INTO sign_in_pending ${sql.insert({
            browser,
            state: pending.state,
            nonce: pending.nonce,
            code_verifier: pending.codeVerifier,
            return_to: pending.returnTo,
            started_at: pending.startedAt
          })}`
          yield* sql`DELETE FROM sign_in_pending WHERE browser = ${browser} AND state NOT IN (
            SELECT state FROM sign_in_pending WHERE browser = ${browser}
            ORDER BY started_at DESC, state LIMIT ${maxPending}
          )`
          return true
        })
      )
    }),

    takePending: Effect.fn("SignInSessions.takePending")(function* (id, state) {
      const session = yield* read(id)
      const browser = Option.isSome(session) ? session.value.browser : id
      const [row] = yield* run(
        "SignInSessions.takePending",
        sql<PendingRow>`DELETE FROM sign_in_pending WHERE browser = ${browser} AND state = ${state} RETURNING *`
      )
      const now = yield* Clock.currentTimeMillis
      if (row === undefined || Number(row.started_at) + pendingMillis <= now) return Option.none()
      return Option.some({
        state: row.state,
        nonce: row.nonce,
        codeVerifier: row.code_verifier,
        returnTo: row.return_to,
        startedAt: Number(row.started_at),
        browser,
        signedIn: Option.isSome(session)
      })
    }),

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

    endByProvider: (issuer, { sid, subject }) => {
      if (sid === null && subject === null) return Effect.succeed([])
      const named = [
        sql`issuer = ${issuer}`,
        ...(subject === null ? [] : [sql`subject = ${subject}`]),
        ...(sid === null ? [] : [sql`sid = ${sid}`])
      ]
      return endWhere("SignInSessions.endByProvider", sql.and(named), "provider")
    },

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
        sql<Row>`UPDATE sign_in_sessions SET refresh_until = NULL, ${stored}
          WHERE id_hash = ${id} AND refresh_owner = ${owner} RETURNING *`
      )
      const now = yield* Clock.currentTimeMillis
      return row !== undefined && cache.put(toSession(row), now) !== undefined
    }),

    useOnce: Effect.fn("SignInSessions.useOnce")(function* (key, until) {
      const now = yield* Clock.currentTimeMillis
      const used = yield* run(
        "SignInSessions.useOnce",
        sql`INSERT INTO sign_in_used ${sql.insert({ used_key: key, used_until: until })}
          ON CONFLICT (used_key) DO UPDATE SET used_until = excluded.used_until
          WHERE sign_in_used.used_until <= ${now} RETURNING used_key`
      )
      return used.length > 0
    }),

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
