import {
  maxPending,
  type PendingSignIn,
  pendingMillis,
  rememberedMillis,
  type SessionIdHash,
  type SignInSession
} from "@edge-relay/domain/sign-in/SignInSession"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Clock, Effect, Option } from "effect"
import { Database } from "../database/Database.ts"
import { type PendingRow, toPending } from "./SignInSessionRow.ts"

type Find = (id: SessionIdHash) => Effect.Effect<Option.Option<SignInSession>, StorageUnavailable>

/** The sign-ins under way of `SignInSessions`, in SQL. `find` may answer from memory, `read` does not. */
export const make = Effect.fnUntraced(function* ({
  find,
  mostPending,
  read
}: {
  readonly find: Find
  readonly read: Find
  /** Of all browsers together. */
  readonly mostPending: number
}) {
  const { run, sql, transaction } = yield* Database
  // Looking costs a walk over an index: not with each sign-in.
  const boundEvery = Math.min(500, mostPending)
  let added = 0

  return {
    addPending: Effect.fn("SignInSessions.addPending")(function* (
      id: SessionIdHash,
      pending: PendingSignIn,
      { fresh }: { readonly fresh: boolean }
    ) {
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
          if (++added % boundEvery === 0) {
            yield* sql`DELETE FROM sign_in_pending WHERE started_at < (
              SELECT started_at FROM sign_in_pending ORDER BY started_at DESC LIMIT 1 OFFSET ${mostPending}
            )`
          }
          return true
        })
      )
    }),

    takePending: Effect.fn("SignInSessions.takePending")(function* (id: SessionIdHash, state: string) {
      const session = yield* read(id)
      const browser = Option.isSome(session) ? session.value.browser : id
      const row = yield* transaction(
        "SignInSessions.takePending",
        Effect.gen(function* () {
          const [row] = yield* sql<PendingRow>`DELETE FROM sign_in_pending
            WHERE browser = ${browser} AND state = ${state} AND code_verifier <> '' RETURNING *`
          // Remembered, without its secrets.
          const spent = { ...row, browser, state, nonce: "", code_verifier: "" }
          if (row !== undefined) yield* sql`INSERT INTO sign_in_pending ${sql.insert(spent)}`
          return row
        })
      )
      const now = yield* Clock.currentTimeMillis
      if (row === undefined || Number(row.started_at) + pendingMillis <= now) return Option.none()
      return Option.some({ ...toPending(row), browser, signedIn: Option.isSome(session) })
    }),

    remembered: Effect.fn("SignInSessions.remembered")(function* (state: string) {
      const now = yield* Clock.currentTimeMillis
      const [row] = yield* run(
        "SignInSessions.remembered",
        sql<PendingRow>`SELECT * FROM sign_in_pending
          WHERE state = ${state} AND started_at > ${now - rememberedMillis} LIMIT 1`
      )
      if (row === undefined) return Option.none()
      const isOpen = row.code_verifier !== "" && Number(row.started_at) + pendingMillis > now
      return Option.some({ returnTo: row.return_to, isOpen })
    })
  }
})
