import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** Personal access tokens. A revoked one is deleted: the audit log remembers it. Scopes and reach are JSON. */
export const accessTokenTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  yield* sql`CREATE TABLE access_tokens (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    reach TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    last_used_from TEXT
  )`
  yield* sql`CREATE INDEX access_tokens_of_user ON access_tokens (tenant_id, user_id, id)`
  yield* sql`CREATE INDEX access_tokens_expiry ON access_tokens (expires_at)`
})
