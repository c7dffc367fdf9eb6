import { Clock, DateTime, Effect, Layer, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { AuditId } from "@edge-relay/domain/ids/AuditId"
import { AuditAction } from "@edge-relay/domain/audit/AuditAction"
import { type AuditEntry, AuditLog, cursorToId } from "@edge-relay/domain/audit/AuditLog"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import * as Paged from "@edge-relay/domain/Paged"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Database } from "../database/Database.ts"

/** The audit log in SQL: there is an INSERT, and a DELETE by age. */

interface Row {
  readonly id: AuditId
  readonly at: number | bigint
  readonly action: string
  readonly outcome: AuditEntry["outcome"]
  readonly actor: string | null
  readonly edge_id: EdgeId | null
  readonly address: string | null
  readonly request_id: string | null
  readonly detail: string | null
}

const isAction = Schema.is(AuditAction)

const toEntry = (row: Row): AuditEntry => ({
  id: row.id,
  at: DateTime.makeUnsafe(Number(row.at)),
  action: isAction(row.action) ? row.action : "unknown",
  outcome: row.outcome,
  actor: row.actor,
  edgeId: row.edge_id,
  address: row.address,
  requestId: row.request_id,
  detail: row.detail
})

export const layer = Layer.effect(
  AuditLog,
  Effect.gen(function* () {
    const { sql, run } = yield* Database
    const random = yield* SecureRandom.SecureRandom
    const newId = Effect.provideService(TypeId.make("audit"), SecureRandom.SecureRandom, random)
    const columns = sql.literal("id, at, action, outcome, actor, edge_id, address, request_id, detail")

    return AuditLog.of({
      record: Effect.fn("AuditLog.record")(function* ({ action, outcome, tenantId = null, ...rest }) {
        const { actor = null, edgeId = null, address = null, requestId = null, detail = null } = rest
        const id = AuditId.make(yield* newId)
        const at = yield* Clock.currentTimeMillis
        yield* run(
          "AuditLog.record",
          sql`INSERT INTO audit_log (tenant_id, ${columns})
            VALUES (${tenantId}, ${id}, ${at}, ${action}, ${outcome}, ${actor}, ${edgeId}, ${address},
              ${requestId}, ${detail})`
        )
      }),

      list: Effect.fn("AuditLog.list")(function* (tenantId, { limit, cursor, action, edgeId }) {
        const before = cursor === undefined ? undefined : yield* cursorToId(cursor)
        const rows = yield* run(
          "AuditLog.list",
          sql<Row>`SELECT ${columns} FROM audit_log
            WHERE ${sql.and([
              sql`tenant_id = ${tenantId}`,
              ...(before === undefined ? [] : [sql`id < ${before}`]),
              ...(action === undefined ? [] : [sql`action = ${action}`]),
              ...(edgeId === undefined ? [] : [sql`edge_id = ${edgeId}`])
            ])}
            ORDER BY id DESC LIMIT ${limit + 1}`
        )
        return Paged.of(rows.map(toEntry), limit, ({ id }) => id)
      }),

      prune: Effect.fn("AuditLog.prune")(function* (before) {
        yield* run("AuditLog.prune", sql`DELETE FROM audit_log WHERE at < ${DateTime.toEpochMillis(before)}`)
      })
    })
  })
)
