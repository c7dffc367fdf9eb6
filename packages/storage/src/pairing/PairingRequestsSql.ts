import { DateTime, Effect, Layer, Option } from "effect"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import type { PairingRequestId } from "@edge-relay/domain/ids/PairingRequestId"
import { type Decision, PairingRequest, PairingRequests } from "@edge-relay/domain/pairing/PairingRequests"
import type { TokenId } from "@edge-relay/domain/ids/TokenId"
import { Database } from "../database/Database.ts"

/** Pairing requests in SQL. Each step is one conditional UPDATE: of many at once it changes the row for one. */

interface RequestRow {
  readonly id: PairingRequestId
  readonly hostname: string
  readonly name: string | null
  readonly address: string | null
  readonly created_at: number | bigint
  readonly expires_at: number | bigint
}

interface PolledRow extends RequestRow {
  readonly decision: Decision | null
  readonly tenant_id: TenantId | null
  readonly used_by: TokenId | null
  readonly last_polled_at: number | bigint | null
  readonly interval_seconds: number | bigint
}

const toRequest = (row: RequestRow): PairingRequest =>
  new PairingRequest({
    id: row.id,
    hostname: row.hostname,
    name: row.name,
    address: row.address,
    createdAt: DateTime.makeUnsafe(Number(row.created_at)),
    expiresAt: DateTime.makeUnsafe(Number(row.expires_at))
  })

export const layer = Layer.effect(
  PairingRequests,
  Effect.gen(function* () {
    const { sql, run } = yield* Database
    const columns = sql.literal("id, hostname, name, address, created_at, expires_at")
    const isLive = (now: DateTime.Utc) => sql`used_by IS NULL AND expires_at > ${DateTime.toEpochMillis(now)}`

    return PairingRequests.of({
      insert: Effect.fn("PairingRequests.insert")(function* (hashes, request, intervalSeconds) {
        const rows = yield* run(
          "PairingRequests.insert",
          sql`INSERT INTO pairing_requests (${columns}, device_hash, user_hash, interval_seconds)
            VALUES (${request.id}, ${request.hostname}, ${request.name}, ${request.address},
              ${DateTime.toEpochMillis(request.createdAt)}, ${DateTime.toEpochMillis(request.expiresAt)},
              ${hashes.deviceCode}, ${hashes.userCode}, ${intervalSeconds})
            ON CONFLICT (user_hash) DO NOTHING RETURNING id`
        )
        return rows.length > 0
      }),

      findPending: Effect.fn("PairingRequests.findPending")(function* (userCodeHash, now) {
        const [row] = yield* run(
          "PairingRequests.findPending",
          sql<RequestRow>`SELECT ${columns} FROM pairing_requests
            WHERE user_hash = ${userCodeHash} AND decision IS NULL AND ${isLive(now)}`
        )
        return Option.map(Option.fromUndefinedOr(row), toRequest)
      }),

      decide: Effect.fn("PairingRequests.decide")(function* (tenantId, userId, id, decision, now) {
        const rows = yield* run(
          "PairingRequests.decide",
          sql`UPDATE pairing_requests
            SET decision = ${decision}, tenant_id = ${tenantId}, user_id = ${userId}
            WHERE id = ${id} AND decision IS NULL AND ${isLive(now)} RETURNING id`
        )
        return rows.length > 0
      }),

      findByDevice: Effect.fn("PairingRequests.findByDevice")(function* (deviceCodeHash) {
        const [row] = yield* run(
          "PairingRequests.findByDevice",
          sql<PolledRow>`
            SELECT ${columns}, decision, tenant_id, used_by, last_polled_at, interval_seconds
            FROM pairing_requests WHERE device_hash = ${deviceCodeHash}`
        )
        return Option.map(Option.fromUndefinedOr(row), (row) => ({
          request: toRequest(row),
          decision: row.decision,
          tenantId: row.tenant_id,
          usedBy: row.used_by,
          lastPolledAt: row.last_polled_at === null ? null : DateTime.makeUnsafe(Number(row.last_polled_at)),
          intervalSeconds: Number(row.interval_seconds)
        }))
      }),

      polled: Effect.fn("PairingRequests.polled")(function* (id, at, intervalSeconds) {
        yield* run(
          "PairingRequests.polled",
          sql`UPDATE pairing_requests
            SET last_polled_at = ${DateTime.toEpochMillis(at)}, interval_seconds = ${intervalSeconds}
            WHERE id = ${id}`
        )
      }),

      markUsed: Effect.fn("PairingRequests.markUsed")(function* (tenantId, id, tokenId, now) {
        const rows = yield* run(
          "PairingRequests.markUsed",
          sql`UPDATE pairing_requests SET used_by = ${tokenId}
            WHERE tenant_id = ${tenantId} AND id = ${id} AND decision = 'approved' AND ${isLive(now)}
            RETURNING id`
        )
        return rows.length > 0
      }),

      usedBy: Effect.fn("PairingRequests.usedBy")(function* (id) {
        const [row] = yield* run(
          "PairingRequests.usedBy",
          sql<{ used_by: TokenId | null }>`SELECT used_by FROM pairing_requests WHERE id = ${id}`
        )
        return Option.fromNullishOr(row?.used_by)
      }),

      prune: Effect.fn("PairingRequests.prune")(function* (before) {
        yield* run(
          "PairingRequests.prune",
          sql`DELETE FROM pairing_requests
            WHERE used_by IS NULL AND expires_at < ${DateTime.toEpochMillis(before)}`
        )
      })
    })
  })
)
