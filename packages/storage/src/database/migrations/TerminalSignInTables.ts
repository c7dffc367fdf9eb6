import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/**
 * Sign-ins from terminals: access tokens whose text is replaced by a refresh token, once each, and the requests that
 * they begin with (RFC 8628). Refresh tokens that were used stay known as long as their token.
 */
export const terminalSignInTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  yield* sql`ALTER TABLE access_tokens ADD COLUMN ends_at BIGINT NOT NULL DEFAULT 0`
  yield* sql`UPDATE access_tokens SET ends_at = expires_at`
  yield* sql`ALTER TABLE access_tokens ADD COLUMN terminal_hostname TEXT`
  yield* sql`ALTER TABLE access_tokens ADD COLUMN terminal_address TEXT`
  yield* sql`ALTER TABLE access_tokens ADD COLUMN refresh_hash TEXT`
  yield* sql`DROP INDEX access_tokens_expiry`
  yield* sql`CREATE INDEX access_tokens_end ON access_tokens (ends_at)`
  yield* sql`CREATE UNIQUE INDEX access_tokens_refresh ON access_tokens (refresh_hash)`

  yield* sql`CREATE TABLE access_token_refreshes (
    hash TEXT PRIMARY KEY,
    token_id TEXT NOT NULL REFERENCES access_tokens (id) ON DELETE CASCADE
  )`
  yield* sql`CREATE INDEX access_token_refreshes_of_token ON access_token_refreshes (token_id)`

  yield* sql`CREATE TABLE terminal_requests (
    id TEXT PRIMARY KEY,
    device_hash TEXT NOT NULL UNIQUE,
    user_hash TEXT NOT NULL UNIQUE,
    hostname TEXT NOT NULL,
    address TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    interval_seconds BIGINT NOT NULL,
    last_polled_at BIGINT,
    decision TEXT CHECK (decision IN ('approved', 'denied')),
    tenant_id TEXT,
    user_id TEXT,
    issuer TEXT,
    subject TEXT
  )`
  yield* sql`CREATE INDEX terminal_requests_expiry ON terminal_requests (expires_at)`
})
