import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import type { TerminalRequestId } from "@edge-relay/domain/ids/TerminalRequestId"
import type { Role } from "@edge-relay/domain/sign-in/Role"
import type { UserId } from "@edge-relay/domain/ids/UserId"
import { TerminalRequest, TerminalRequests } from "@edge-relay/domain/sign-in/TerminalRequests"
import { DateTime, Effect, Layer, Option } from "effect"
import { Database } from "../database/Database.ts"

/** Sign-ins from terminals that are under way, in SQL. Each step is one conditional statement. */

interface RequestRow {
  readonly id: TerminalRequestId
  readonly hostname: string
  readonly address: string | null
  readonly created_at: number | bigint
  readonly expires_at: number | bigint
}

interface PolledRow extends RequestRow {
  readonly decision: "approved" | "denied" | null
  readonly tenant_id: TenantId | null
  readonly user_id: UserId | null
  readonly issuer: string | null
  readonly subject: string | null
  readonly role: Role | null
  readonly last_polled_at: number | bigint | null
  readonly interval_seconds: number | bigint
}

const toRequest = (row: RequestRow): TerminalRequest =>
  new TerminalRequest({
    id: row.id,
    hostname: row.hostname,
    address: row.address,
    createdAt: DateTime.makeUnsafe(Number(row.created_at)),
    expiresAt: DateTime.makeUnsafe(Number(row.expires_at))
  })

const toApprover = ({ issuer, role, subject, tenant_id: tenantId, user_id: userId }: PolledRow) =>
  tenantId === null || userId === null || issuer === null || subject === null || role === null
    ? null
    : { tenantId, userId, issuer, subject, role }

export const layer = Layer.effect(
  TerminalRequests,
  Effect.gen(function* () {
    const { sql, run } = yield* Database
    const columns = sql.literal("id, hostname, address, created_at, expires_at")
    const isLive = (now: DateTime.Utc) => sql`expires_at > ${DateTime.toEpochMillis(now)}`

    return TerminalRequests.of({
      insert: Effect.fn("TerminalRequests.insert")(function* (hashes, request, intervalSeconds) {
        const rows = yield* run(
          "TerminalRequests.insert",
          sql`INSERT INTO terminal_requests (${columns}, device_hash, user_hash, interval_seconds)
            VALUES (${request.id}, ${request.hostname}, ${request.address},
              ${DateTime.toEpochMillis(request.createdAt)}, ${DateTime.toEpochMillis(request.expiresAt)},
              ${hashes.deviceCode}, ${hashes.userCode}, ${intervalSeconds})
            ON CONFLICT (user_hash) DO NOTHING RETURNING id`
        )
        return rows.length > 0
      }),

      findPending: Effect.fn("TerminalRequests.findPending")(function* (userCodeHash, now) {
        const [row] = yield* run(
          "TerminalRequests.findPending",
          sql<RequestRow>`SELECT ${columns} FROM terminal_requests
            WHERE user_hash = ${userCodeHash} AND decision IS NULL AND ${isLive(now)}`
        )
        return Option.map(Option.fromUndefinedOr(row), toRequest)
      }),

      decide: Effect.fn("TerminalRequests.decide")(function* (id, decision, approver, now) {
        const rows = yield* run(
          "TerminalRequests.decide",
          sql`UPDATE terminal_requests SET decision = ${decision}, tenant_id = ${approver.tenantId},
              user_id = ${approver.userId}, issuer = ${approver.issuer}, subject = ${approver.subject},
              role = ${approver.role}
            WHERE id = ${id} AND decision IS NULL AND ${isLive(now)} RETURNING id`
        )
        return rows.length > 0
      }),

      findByDevice: Effect.fn("TerminalRequests.findByDevice")(function* (deviceCodeHash) {
        const [row] = yield* run(
          "TerminalRequests.findByDevice",
          sql<PolledRow>`SELECT ${columns}, decision, tenant_id, user_id, issuer, subject, role, last_polled_at,
              interval_seconds
            FROM terminal_requests WHERE device_hash = ${deviceCodeHash}`
        )
        return Option.map(Option.fromUndefinedOr(row), (row) => ({
          request: toRequest(row),
          decision: row.decision,
          approver: toApprover(row),
          lastPolledAt: row.last_polled_at === null ? null : DateTime.makeUnsafe(Number(row.last_polled_at)),
          intervalSeconds: Number(row.interval_seconds)
        }))
      }),

      polled: Effect.fn("TerminalRequests.polled")(function* (id, at, intervalSeconds) {
        yield* run(
          "TerminalRequests.polled",
          sql`UPDATE terminal_requests
            SET last_polled_at = ${DateTime.toEpochMillis(at)}, interval_seconds = ${intervalSeconds}
            WHERE id = ${id}`
        )
      }),

      take: Effect.fn("TerminalRequests.take")(function* (id, now) {
        const rows = yield* run(
          "TerminalRequests.take",
          sql`DELETE FROM terminal_requests WHERE id = ${id} AND decision = 'approved' AND ${isLive(now)}
            RETURNING id`
        )
        return rows.length > 0
      }),

      prune: Effect.fn("TerminalRequests.prune")(function* (before) {
        yield* run(
          "TerminalRequests.prune",
          sql`DELETE FROM terminal_requests WHERE expires_at < ${DateTime.toEpochMillis(before)}`
        )
      })
    })
  })
)
