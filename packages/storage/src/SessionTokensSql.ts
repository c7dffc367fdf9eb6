import { Clock, DateTime, Effect, Layer } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import type { Fragment } from "effect/sql/Statement"
import type { TenantId } from "@edge-relay/domain/CurrentUser"
import { EdgeEvents } from "@edge-relay/domain/EdgeEvents"
import { type EdgeId, EdgeNotFound } from "@edge-relay/domain/Edges"
import * as Secret from "@edge-relay/domain/Secret"
import {
  type GrantId,
  replacedMillis,
  SessionTokens,
  TokenId,
  TokenRejected
} from "@edge-relay/domain/SessionTokens"
import * as TypeId from "@edge-relay/domain/TypeId"
import { Database } from "./Database.ts"

/**
 * Session tokens in SQL. They go with their edge, by ON DELETE CASCADE, and what granted them goes with them. The
 * row of the edge is locked by whatever gives it a token, so that tokens of one edge are in one order.
 */

interface Row {
  readonly id: TokenId
  readonly tenant_id: TenantId
  readonly edge_id: EdgeId
}

interface LiveRow extends Row {
  readonly generation: number | bigint
  readonly connected_at: number | bigint | null
}

export const layer = Layer.effect(
  SessionTokens,
  Effect.gen(function* () {
    const { sql, run, transaction } = yield* Database
    const events = yield* EdgeEvents
    const crypto = yield* Effect.context<SecureRandom.SecureRandom | Digest.Digest>()

    /** The token that `which` finds, while it counts. Three look-ups by unique indices. */
    const good = (operation: string, which: Fragment) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const [row] = yield* run(
          operation,
          sql<LiveRow>`SELECT t.id, t.tenant_id, t.edge_id, t.generation, t.connected_at FROM session_tokens t
            WHERE ${which} AND t.revoked_at IS NULL AND (t.valid_until IS NULL OR t.valid_until > ${now})
              AND (t.granted_by IS NULL
                OR EXISTS (SELECT 1 FROM pairing_codes c WHERE c.id = t.granted_by AND c.used_by = t.id)
                OR EXISTS (SELECT 1 FROM pairing_requests r WHERE r.id = t.granted_by AND r.used_by = t.id))`
        )
        return row === undefined ? yield* new TokenRejected() : row
      })

    const revokeWhere = Effect.fnUntraced(function* (which: Fragment) {
      const now = yield* Clock.currentTimeMillis
      const rows = yield* sql<Row>`UPDATE session_tokens SET revoked_at = ${now}
        WHERE revoked_at IS NULL AND ${which} RETURNING id, tenant_id, edge_id`
      for (const { id, tenant_id, edge_id } of rows) {
        yield* events.append(tenant_id, { type: "token.revoked", edgeId: edge_id, tokenId: id })
      }
      return rows.map(({ id }) => id)
    })

    /** Inserts the edge's next token, and answers with its place in their order. */
    const add = Effect.fnUntraced(function* (
      tenantId: TenantId,
      edgeId: EdgeId,
      token: { readonly id: TokenId; readonly hash: string; readonly grantedBy: GrantId | null }
    ) {
      const now = yield* Clock.currentTimeMillis
      const [edge] = yield* sql<{ token_generation: number | bigint }>`
        UPDATE edges SET token_generation = token_generation + 1
        WHERE tenant_id = ${tenantId} AND id = ${edgeId} RETURNING token_generation`
      if (edge === undefined) return yield* new EdgeNotFound({ edgeId })
      const generation = Number(edge.token_generation)
      yield* sql`INSERT INTO session_tokens (id, tenant_id, edge_id, hash, granted_by, generation, created_at)
        VALUES (${token.id}, ${tenantId}, ${edgeId}, ${token.hash}, ${token.grantedBy}, ${generation}, ${now})`
      return generation
    })

    const generate = Effect.gen(function* () {
      const id = TokenId.make(yield* TypeId.make("tok"))
      const secret = yield* Secret.make("ert_")
      return { id, secret, hash: yield* Secret.hash(secret) }
    }).pipe(Effect.provideContext(crypto))

    const connected = Effect.fn("SessionTokens.connected")(function* (
      tokenId: TokenId
    ): Effect.fn.Return<
      ReadonlyArray<TokenId>,
      Effect.Error<ReturnType<SessionTokens["Service"]["connected"]>>
    > {
      const token = yield* good("SessionTokens.connected", sql`t.id = ${tokenId}`)
      if (token.connected_at !== null) return []
      const revoked = yield* transaction(
        "SessionTokens.connected",
        Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          const first = yield* sql`UPDATE session_tokens SET connected_at = ${now}
            WHERE id = ${tokenId} AND connected_at IS NULL AND revoked_at IS NULL RETURNING id`
          if (first.length === 0) return undefined
          return yield* revokeWhere(
            sql`tenant_id = ${token.tenant_id} AND edge_id = ${token.edge_id} AND generation < ${Number(token.generation)}`
          )
        })
      )
      // Connected elsewhere at the same moment, or revoked: the second look tells which.
      return revoked ?? (yield* connected(tokenId))
    })

    return SessionTokens.of({
      issue: Effect.fn("SessionTokens.issue")(function* (tenantId, edgeId, grantedBy) {
        const { id, secret, hash } = yield* generate
        yield* transaction("SessionTokens.issue", add(tenantId, edgeId, { id, hash, grantedBy }))
        return { tokenId: id, secret }
      }),

      authenticate: Effect.fnUntraced(function* (secret) {
        const hash = yield* Effect.provideContext(Secret.hash(secret), crypto)
        const row = yield* good("SessionTokens.authenticate", sql`t.hash = ${hash}`)
        return { tokenId: row.id, edgeId: row.edge_id, tenantId: row.tenant_id }
      }),

      connected,

      rotate: Effect.fn("SessionTokens.rotate")(function* (tenantId, edgeId) {
        const { id, secret, hash } = yield* generate
        yield* transaction(
          "SessionTokens.rotate",
          Effect.gen(function* () {
            const generation = yield* add(tenantId, edgeId, { id, hash, grantedBy: null })
            const validUntil = (yield* Clock.currentTimeMillis) + replacedMillis
            yield* sql`UPDATE session_tokens SET valid_until = ${validUntil}
              WHERE tenant_id = ${tenantId} AND edge_id = ${edgeId} AND generation < ${generation}
                AND valid_until IS NULL AND revoked_at IS NULL`
          })
        )
        return { tokenId: id, secret }
      }),

      revoke: Effect.fn("SessionTokens.revoke")(function* (tenantId, tokenId) {
        const revoked = yield* transaction(
          "SessionTokens.revoke",
          revokeWhere(sql`tenant_id = ${tenantId} AND id = ${tokenId}`)
        )
        return revoked.length > 0
      }),

      revokeAllOf: Effect.fn("SessionTokens.revokeAllOf")(function* (tenantId, edgeId) {
        return yield* transaction(
          "SessionTokens.revokeAllOf",
          revokeWhere(sql`tenant_id = ${tenantId} AND edge_id = ${edgeId}`)
        )
      }),

      revokeReplaced: Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        // Mostly there are none: found without asking for the write lock.
        const over = yield* run(
          "SessionTokens.revokeReplaced",
          sql`SELECT id FROM session_tokens WHERE valid_until <= ${now} AND revoked_at IS NULL LIMIT 1`
        )
        if (over.length === 0) return 0
        const revoked = yield* transaction(
          "SessionTokens.revokeReplaced",
          revokeWhere(sql`valid_until <= ${now}`)
        )
        return revoked.length
      }),

      prune: Effect.fn("SessionTokens.prune")(function* (before) {
        yield* run(
          "SessionTokens.prune",
          sql`DELETE FROM session_tokens WHERE revoked_at < ${DateTime.toEpochMillis(before)}`
        )
      })
    })
  })
)
