import { Clock, DateTime, Effect, Layer } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import type { Fragment } from "effect/sql/Statement"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { EdgeNotFound } from "@edge-relay/domain/edges/Edges"
import * as Secret from "@edge-relay/domain/Secret"
import { TokenId } from "@edge-relay/domain/ids/TokenId"
import {
  type GrantId,
  replacedMillis,
  SessionTokens,
  TokenRejected
} from "@edge-relay/domain/tunnels/SessionTokens"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Database } from "../database/Database.ts"

/**
 * Session tokens in SQL. They go with their edge, by ON DELETE CASCADE, and what granted them goes with them.
 * Whatever changes tokens of an edge locks the edge's row first: they are in one order, and two that change several
 * of them do not wait for each other.
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

    /** Waits for others that change this edge's tokens. Portable, where FOR UPDATE is not. */
    const lockEdge = (tenantId: TenantId, edgeId: EdgeId) =>
      sql`UPDATE edges SET token_generation = token_generation WHERE tenant_id = ${tenantId} AND id = ${edgeId}`

    /** Of an edge that is locked. */
    const revokeWhere = Effect.fnUntraced(function* (tenantId: TenantId, edgeId: EdgeId, which: Fragment) {
      const now = yield* Clock.currentTimeMillis
      const rows = yield* sql<{ id: TokenId; generation: number | bigint }>`
        UPDATE session_tokens SET revoked_at = ${now}
        WHERE tenant_id = ${tenantId} AND edge_id = ${edgeId} AND revoked_at IS NULL AND ${which}
        RETURNING id, generation`
      const revoked = rows.toSorted((a, b) => Number(a.generation) - Number(b.generation)).map(({ id }) => id)
      for (const tokenId of revoked)
        yield* events.append(tenantId, { type: "token.revoked", edgeId, tokenId })
      return revoked
    })

    const revokeOf = (operation: string, tenantId: TenantId, edgeId: EdgeId, which: Fragment) =>
      transaction(operation, Effect.andThen(lockEdge(tenantId, edgeId), revokeWhere(tenantId, edgeId, which)))

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
          yield* lockEdge(token.tenant_id, token.edge_id)
          const first = yield* sql`UPDATE session_tokens SET connected_at = ${now}
            WHERE id = ${tokenId} AND connected_at IS NULL AND revoked_at IS NULL RETURNING id`
          if (first.length === 0) return undefined
          const older = sql`generation < ${Number(token.generation)}`
          return yield* revokeWhere(token.tenant_id, token.edge_id, older)
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
        const [token] = yield* run(
          "SessionTokens.revoke",
          sql<Row>`SELECT id, tenant_id, edge_id FROM session_tokens
            WHERE tenant_id = ${tenantId} AND id = ${tokenId} AND revoked_at IS NULL`
        )
        if (token === undefined) return false
        const which = sql`id = ${tokenId}`
        return (yield* revokeOf("SessionTokens.revoke", tenantId, token.edge_id, which)).length > 0
      }),

      revokeAllOf: (tenantId, edgeId) =>
        revokeOf("SessionTokens.revokeAllOf", tenantId, edgeId, sql`generation > 0`),

      revokeReplaced: Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        // Mostly there are none: found without asking for the write lock.
        const over = yield* run(
          "SessionTokens.revokeReplaced",
          sql<Row>`SELECT DISTINCT tenant_id, edge_id FROM session_tokens
            WHERE valid_until <= ${now} AND revoked_at IS NULL`
        )
        const revoked = yield* Effect.forEach(over, ({ tenant_id, edge_id }) =>
          revokeOf("SessionTokens.revokeReplaced", tenant_id, edge_id, sql`valid_until <= ${now}`)
        )
        return revoked.flat().length
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
