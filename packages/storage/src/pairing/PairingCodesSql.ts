import { DateTime, Effect, Layer, Option } from "effect"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import * as Paged from "@edge-relay/domain/Paged"
import type { PairingCodeId } from "@edge-relay/domain/ids/PairingCodeId"
import { cursorToId, PairingCode, PairingCodes } from "@edge-relay/domain/pairing/PairingCodes"
import type { TokenId } from "@edge-relay/domain/ids/TokenId"
import { Database } from "../database/Database.ts"

/** Pairing codes in SQL. What decides is one conditional UPDATE: of many at once it changes the row for one. */

interface Row {
  readonly id: PairingCodeId
  readonly tenant_id: TenantId
  readonly name: string | null
  readonly created_at: number | bigint
  readonly expires_at: number | bigint
}

const toCode = (row: Row): PairingCode =>
  new PairingCode({
    id: row.id,
    name: row.name,
    createdAt: DateTime.makeUnsafe(Number(row.created_at)),
    expiresAt: DateTime.makeUnsafe(Number(row.expires_at))
  })

export const layer = Layer.effect(
  PairingCodes,
  Effect.gen(function* () {
    const { sql, run } = yield* Database
    const columns = sql.literal("id, tenant_id, name, created_at, expires_at")
    const isOpen = (now: DateTime.Utc) => sql`used_by IS NULL AND expires_at > ${DateTime.toEpochMillis(now)}`

    return PairingCodes.of({
      insert: Effect.fn("PairingCodes.insert")(function* (tenantId, userId, hash, code) {
        const rows = yield* run(
          "PairingCodes.insert",
          sql`INSERT INTO pairing_codes (id, tenant_id, user_id, hash, name, created_at, expires_at)
            VALUES (${code.id}, ${tenantId}, ${userId}, ${hash}, ${code.name},
              ${DateTime.toEpochMillis(code.createdAt)}, ${DateTime.toEpochMillis(code.expiresAt)})
            ON CONFLICT (hash) DO NOTHING RETURNING id`
        )
        return rows.length > 0
      }),

      findOpen: Effect.fn("PairingCodes.findOpen")(function* (hash, now) {
        const [row] = yield* run(
          "PairingCodes.findOpen",
          sql<Row>`SELECT ${columns} FROM pairing_codes WHERE hash = ${hash} AND ${isOpen(now)}`
        )
        return row === undefined ? Option.none() : Option.some({ tenantId: row.tenant_id, code: toCode(row) })
      }),

      list: Effect.fn("PairingCodes.list")(function* (tenantId, now, { limit, cursor }) {
        const after = cursor === undefined ? sql`` : sql`AND id > ${yield* cursorToId(cursor)}`
        const rows = yield* run(
          "PairingCodes.list",
          sql<Row>`SELECT ${columns} FROM pairing_codes
            WHERE tenant_id = ${tenantId} AND ${isOpen(now)} ${after} ORDER BY id LIMIT ${limit + 1}`
        )
        return Paged.of(rows.map(toCode), limit, ({ id }) => id)
      }),

      cancel: Effect.fn("PairingCodes.cancel")(function* (tenantId, id, now) {
        const rows = yield* run(
          "PairingCodes.cancel",
          sql`DELETE FROM pairing_codes WHERE tenant_id = ${tenantId} AND id = ${id} AND ${isOpen(now)}
            RETURNING id`
        )
        return rows.length > 0
      }),

      markUsed: Effect.fn("PairingCodes.markUsed")(function* (tenantId, id, tokenId, now) {
        const rows = yield* run(
          "PairingCodes.markUsed",
          sql`UPDATE pairing_codes SET used_by = ${tokenId}
            WHERE tenant_id = ${tenantId} AND id = ${id} AND ${isOpen(now)} RETURNING id`
        )
        return rows.length > 0
      }),

      usedBy: Effect.fn("PairingCodes.usedBy")(function* (id) {
        const [row] = yield* run(
          "PairingCodes.usedBy",
          sql<{ used_by: TokenId | null }>`SELECT used_by FROM pairing_codes WHERE id = ${id}`
        )
        return Option.fromNullishOr(row?.used_by)
      }),

      prune: Effect.fn("PairingCodes.prune")(function* (before) {
        yield* run(
          "PairingCodes.prune",
          sql`DELETE FROM pairing_codes
            WHERE used_by IS NULL AND expires_at < ${DateTime.toEpochMillis(before)}`
        )
      })
    })
  })
)
