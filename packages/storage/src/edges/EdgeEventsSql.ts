import { Clock, DateTime, Effect, Layer } from "effect"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { type EdgeEvent, EdgeEvents, type EdgeEventType } from "@edge-relay/domain/edges/EdgeEvents"
import type { TokenId } from "@edge-relay/domain/ids/TokenId"
import { Database } from "../database/Database.ts"

/**
 * The events of edges in SQL. An id is drawn from a row whose lock is held until the transaction ends, so that a
 * smaller id is never committed after a greater one, and who polls for greater ids misses none.
 */

interface Row {
  readonly id: number | bigint
  readonly tenant_id: TenantId
  readonly type: EdgeEventType
  readonly edge_id: EdgeId
  readonly token_id: TokenId | null
  readonly at: number | bigint
}

const toEvent = (row: Row): EdgeEvent => ({
  id: Number(row.id),
  tenantId: row.tenant_id,
  type: row.type,
  edgeId: row.edge_id,
  tokenId: row.token_id,
  at: DateTime.makeUnsafe(Number(row.at))
})

export const layer = Layer.effect(
  EdgeEvents,
  Effect.gen(function* () {
    const { sql, run, transaction } = yield* Database
    const columns = sql.literal("id, tenant_id, type, edge_id, token_id, at")

    const counter = (name: string) =>
      Effect.map(sql<{ value: number | bigint }>`SELECT value FROM counters WHERE name = ${name}`, ([row]) =>
        Number(row?.value ?? 0)
      )

    return EdgeEvents.of({
      append: Effect.fn("EdgeEvents.append")(function* (tenantId, { type, edgeId, tokenId = null }) {
        const at = yield* Clock.currentTimeMillis
        return yield* transaction(
          "EdgeEvents.append",
          Effect.gen(function* () {
            const [row] = yield* sql<{ value: number | bigint }>`
              UPDATE counters SET value = value + 1 WHERE name = 'edge_events' RETURNING value`
            const id = Number(row?.value)
            yield* sql`INSERT INTO edge_events (${columns})
              VALUES (${id}, ${tenantId}, ${type}, ${edgeId}, ${tokenId}, ${at})`
            return id
          })
        )
      }),

      since: Effect.fn("EdgeEvents.since")(function* (tenantId, id, limit) {
        return yield* run(
          "EdgeEvents.since",
          Effect.gen(function* () {
            const latest = yield* counter("edge_events")
            const rows = yield* sql<Row>`SELECT ${columns} FROM edge_events
              WHERE tenant_id = ${tenantId} AND id > ${id} ORDER BY id LIMIT ${limit}`
            // Asked last: what was dropped while we read makes the answer incomplete, too.
            const dropped = yield* counter("edge_events_dropped")
            return { events: rows.map(toEvent), complete: id >= dropped && id <= latest }
          })
        )
      }),

      allSince: Effect.fnUntraced(function* (id, limit) {
        const rows = yield* run(
          "EdgeEvents.allSince",
          sql<Row>`SELECT ${columns} FROM edge_events WHERE id > ${id} ORDER BY id LIMIT ${limit}`
        )
        return rows.map(toEvent)
      }),

      latest: run("EdgeEvents.latest", counter("edge_events")),

      prune: Effect.fn("EdgeEvents.prune")(function* (before) {
        yield* transaction(
          "EdgeEvents.prune",
          Effect.gen(function* () {
            const [row] = yield* sql<{ last: number | bigint | null }>`
              SELECT max(id) AS last FROM edge_events WHERE at < ${DateTime.toEpochMillis(before)}`
            if (row === undefined || row.last === null) return
            const last = Number(row.last)
            yield* sql`UPDATE counters SET value = ${last} WHERE name = 'edge_events_dropped' AND value < ${last}`
            yield* sql`DELETE FROM edge_events WHERE id <= ${last}`
          })
        )
      })
    })
  })
)
