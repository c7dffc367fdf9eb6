import {
  AccessToken,
  AccessTokens,
  cursorToId,
  issue,
  issueTerminal,
  RefreshRejected,
  renew,
  textMillis
} from "@edge-relay/domain/access-tokens/AccessTokens"
import type { AccessTokenId } from "@edge-relay/domain/ids/AccessTokenId"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import type { UserId } from "@edge-relay/domain/ids/UserId"
import * as Secret from "@edge-relay/domain/Secret"
import type { Role } from "@edge-relay/domain/sign-in/Role"
import * as Paged from "@edge-relay/domain/Paged"
import { Clock, DateTime, Effect, Layer, Option } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { Database } from "../database/Database.ts"

/** Personal access tokens in SQL. */

interface Row {
  readonly id: AccessTokenId
  readonly tenant_id: TenantId
  readonly user_id: UserId
  readonly issuer: string
  readonly subject: string
  readonly role: Role
  readonly name: string
  readonly scopes: string
  readonly reach: string | null
  readonly created_at: number | bigint
  readonly expires_at: number | bigint
  readonly ends_at: number | bigint
  readonly terminal_hostname: string | null
  readonly terminal_address: string | null
  readonly last_used_at: number | bigint | null
  readonly last_used_from: string | null
}

// What was checked when it was written is not checked again for each row that is read.
const toToken = (row: Row): AccessToken =>
  new AccessToken(
    {
      id: row.id,
      tenantId: row.tenant_id,
      userId: row.user_id,
      issuer: row.issuer,
      subject: row.subject,
      role: row.role,
      name: row.name,
      scopes: JSON.parse(row.scopes),
      reach: row.reach === null ? null : JSON.parse(row.reach),
      createdAt: DateTime.makeUnsafe(Number(row.created_at)),
      expiresAt: DateTime.makeUnsafe(Number(row.expires_at)),
      endsAt: DateTime.makeUnsafe(Number(row.ends_at)),
      terminal:
        row.terminal_hostname === null
          ? null
          : { hostname: row.terminal_hostname, address: row.terminal_address },
      lastUsedAt: row.last_used_at === null ? null : DateTime.makeUnsafe(Number(row.last_used_at)),
      lastUsedFrom: row.last_used_from
    },
    { disableChecks: true }
  )

export const layer = Layer.effect(
  AccessTokens,
  Effect.gen(function* () {
    const { sql, run, transaction } = yield* Database
    const crypto = yield* Effect.context<SecureRandom.SecureRandom | Digest.Digest>()
    const columns = sql.literal(
      "id, tenant_id, user_id, issuer, subject, role, name, scopes, reach, created_at, expires_at, ends_at, terminal_hostname, terminal_address, last_used_at, last_used_from"
    )
    const only = ([row]: ReadonlyArray<Row>) =>
      row === undefined ? Option.none() : Option.some(toToken(row))

    const insert = (token: AccessToken, hash: string, refreshHash: string | null) => {
      const reach = token.reach === null ? null : JSON.stringify(token.reach)
      return sql`INSERT INTO access_tokens (id, tenant_id, user_id, issuer, subject, role, hash, name, scopes, reach,
          created_at, expires_at, ends_at, terminal_hostname, terminal_address, refresh_hash)
        VALUES (${token.id}, ${token.tenantId}, ${token.userId}, ${token.issuer}, ${token.subject}, ${token.role}, ${hash},
          ${token.name}, ${JSON.stringify(token.scopes)}, ${reach}, ${DateTime.toEpochMillis(token.createdAt)},
          ${DateTime.toEpochMillis(token.expiresAt)}, ${DateTime.toEpochMillis(token.endsAt)},
          ${token.terminal?.hostname ?? null}, ${token.terminal?.address ?? null}, ${refreshHash})`
    }

    /** Of two at once, one changes the row; the other one finds that the refresh token was used. */
    const rotate = Effect.fnUntraced(function* (givenHash: string) {
      const now = yield* Clock.currentTimeMillis
      const { hash, refresh, refreshHash, secret } = yield* Effect.provideContext(renew, crypto)
      const [row] = yield* sql<Row>`UPDATE access_tokens SET hash = ${hash}, refresh_hash = ${refreshHash},
          expires_at = CASE WHEN ends_at < ${now + textMillis} THEN ends_at ELSE ${now + textMillis} END
        WHERE refresh_hash = ${givenHash} AND ends_at > ${now} RETURNING ${columns}`
      if (row !== undefined) {
        yield* sql`INSERT INTO access_token_refreshes (hash, token_id) VALUES (${givenHash}, ${row.id})`
        return { token: toToken(row), secret, refresh }
      }
      const [reused] = yield* sql<Row>`DELETE FROM access_tokens
        WHERE id IN (SELECT token_id FROM access_token_refreshes WHERE hash = ${givenHash}) RETURNING ${columns}`
      return new RefreshRejected({ reused: reused === undefined ? null : toToken(reused) })
    })

    return AccessTokens.of({
      create: Effect.fn("AccessTokens.create")(function* (created) {
        const { hash, secret, token } = yield* Effect.provideContext(issue(created), crypto)
        yield* run("AccessTokens.create", insert(token, hash, null))
        return { token, secret }
      }),

      createTerminal: Effect.fn("AccessTokens.createTerminal")(function* (created) {
        const issued = yield* Effect.provideContext(issueTerminal(created), crypto)
        const { hash, refresh, refreshHash, secret, token } = issued
        yield* run("AccessTokens.createTerminal", insert(token, hash, refreshHash))
        return { token, secret, refresh }
      }),

      refresh: Effect.fn("AccessTokens.refresh")(function* (given) {
        const givenHash = yield* Effect.provideContext(Secret.hash(given), crypto)
        // A rejection that ended a sign-in is no failure of the transaction: it is to stay.
        const done = yield* transaction("AccessTokens.refresh", rotate(givenHash))
        return done instanceof RefreshRejected ? yield* done : done
      }),

      terminals: Effect.fn("AccessTokens.terminals")(function* (tenantId, userId) {
        const now = yield* Clock.currentTimeMillis
        const rows = yield* run(
          "AccessTokens.terminals",
          sql<Row>`SELECT ${columns} FROM access_tokens WHERE tenant_id = ${tenantId} AND user_id = ${userId}
            AND terminal_hostname IS NOT NULL AND ends_at > ${now} ORDER BY id DESC`
        )
        return rows.map(toToken)
      }),

      find: Effect.fnUntraced(function* (hash) {
        const now = yield* Clock.currentTimeMillis
        return only(
          yield* run(
            "AccessTokens.find",
            sql<Row>`SELECT ${columns} FROM access_tokens WHERE hash = ${hash} AND expires_at > ${now}`
          )
        )
      }),

      live: Effect.fnUntraced(function* (ids) {
        if (ids.length === 0) return []
        const now = yield* Clock.currentTimeMillis
        // Ids as one parameter, however many: a statement's text does not depend on them.
        const list = sql.onDialectOrElse({
          pg: () => sql`SELECT jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb)`,
          orElse: () => sql`SELECT value FROM json_each(${JSON.stringify(ids)})`
        })
        const rows = yield* run(
          "AccessTokens.live",
          sql<{
            id: AccessTokenId
          }>`SELECT id FROM access_tokens WHERE id IN (${list}) AND ends_at > ${now}`
        )
        return rows.map(({ id }) => id)
      }),

      list: Effect.fn("AccessTokens.list")(function* (tenantId, userId, { limit, cursor }) {
        const after = cursor === undefined ? sql`` : sql`AND id > ${yield* cursorToId(cursor)}`
        const rows = yield* run(
          "AccessTokens.list",
          sql<Row>`SELECT ${columns} FROM access_tokens
            WHERE tenant_id = ${tenantId} AND user_id = ${userId} AND terminal_hostname IS NULL ${after}
            ORDER BY id LIMIT ${limit + 1}`
        )
        return Paged.of(rows.map(toToken), limit, ({ id }) => id)
      }),

      revoke: Effect.fn("AccessTokens.revoke")(function* (tenantId, userId, id) {
        return only(
          yield* run(
            "AccessTokens.revoke",
            sql<Row>`DELETE FROM access_tokens
              WHERE tenant_id = ${tenantId} AND user_id = ${userId} AND id = ${id} RETURNING ${columns}`
          )
        )
      }),

      used: Effect.fn("AccessTokens.used")(function* (id, at, address) {
        yield* run(
          "AccessTokens.used",
          sql`UPDATE access_tokens SET last_used_at = ${DateTime.toEpochMillis(at)}, last_used_from = ${address}
            WHERE id = ${id}`
        )
      }),

      prune: Effect.fn("AccessTokens.prune")(function* (before) {
        yield* run(
          "AccessTokens.prune",
          sql`DELETE FROM access_tokens WHERE ends_at < ${DateTime.toEpochMillis(before)}`
        )
      })
    })
  })
)
