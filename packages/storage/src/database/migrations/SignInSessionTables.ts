import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/**
 * Browsers that are signing in, and sessions that are signed in. One text for SQLite and Postgres, times in
 * milliseconds since 1970. A cookie's secret is here as its SHA-256, the provider's tokens are sealed by it.
 */
export const signInSessionTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  // A row to lock: two tabs that finish at once sign in one after the other.
  yield* sql`CREATE TABLE sign_in_browsers (
    browser TEXT PRIMARY KEY,
    touched_at BIGINT NOT NULL
  )`
  yield* sql`CREATE INDEX sign_in_browsers_age ON sign_in_browsers (touched_at)`

  yield* sql`CREATE TABLE sign_in_pending (
    browser TEXT NOT NULL,
    state TEXT NOT NULL,
    nonce TEXT NOT NULL,
    code_verifier TEXT NOT NULL,
    return_to TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    PRIMARY KEY (browser, state)
  )`
  yield* sql`CREATE INDEX sign_in_pending_age ON sign_in_pending (started_at)`

  yield* sql`CREATE TABLE sign_in_sessions (
    id_hash TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    browser TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    sid TEXT,
    name TEXT,
    email TEXT,
    picture TEXT,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    idle_millis BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    sealed TEXT NOT NULL,
    refresh_at BIGINT,
    refresh_owner TEXT,
    refresh_until BIGINT
  )`
  yield* sql`CREATE INDEX sign_in_sessions_of_browser ON sign_in_sessions (browser)`
  yield* sql`CREATE INDEX sign_in_sessions_of_user ON sign_in_sessions (tenant_id, user_id)`
  yield* sql`CREATE INDEX sign_in_sessions_of_subject ON sign_in_sessions (issuer, subject)`
  yield* sql`CREATE INDEX sign_in_sessions_of_sid ON sign_in_sessions (issuer, sid)`

  // Read by every server twice a second, for what another one has ended.
  yield* sql`CREATE TABLE sign_in_ended (
    id TEXT PRIMARY KEY,
    id_hash TEXT NOT NULL,
    reason TEXT NOT NULL,
    ended_at BIGINT NOT NULL
  )`
  yield* sql`CREATE INDEX sign_in_ended_age ON sign_in_ended (ended_at)`

  yield* sql`CREATE TABLE sign_in_used (
    used_key TEXT PRIMARY KEY,
    used_until BIGINT NOT NULL
  )`
  yield* sql`CREATE INDEX sign_in_used_age ON sign_in_used (used_until)`
})
