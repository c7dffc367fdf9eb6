import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/**
 * Edges, their tokens, pairing, events, audit. One text for SQLite and Postgres: TEXT and BIGINT only, times in
 * milliseconds since 1970. What a tenant owns has `tenant_id`, and each list has the index that it is read by.
 */
export const coreTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  yield* sql`CREATE TABLE edges (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    search_key TEXT NOT NULL,
    labels TEXT NOT NULL,
    token_generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL
  )`
  // With the search key, so that a search by name looks up no edge that it does not answer.
  yield* sql`CREATE UNIQUE INDEX edges_of_tenant ON edges (tenant_id, id, search_key)`

  yield* sql`CREATE TABLE edge_labels (
    tenant_id TEXT NOT NULL,
    label TEXT NOT NULL,
    edge_id TEXT NOT NULL REFERENCES edges (id) ON DELETE CASCADE,
    PRIMARY KEY (tenant_id, label, edge_id)
  )`
  yield* sql`CREATE INDEX edge_labels_of_edge ON edge_labels (edge_id)`

  yield* sql`CREATE TABLE session_tokens (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    edge_id TEXT NOT NULL REFERENCES edges (id) ON DELETE CASCADE,
    hash TEXT NOT NULL UNIQUE,
    granted_by TEXT,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    valid_until BIGINT,
    connected_at BIGINT,
    revoked_at BIGINT
  )`
  yield* sql`CREATE UNIQUE INDEX session_tokens_of_edge ON session_tokens (edge_id, generation)`
  yield* sql`CREATE INDEX session_tokens_replaced ON session_tokens (valid_until)
    WHERE valid_until IS NOT NULL AND revoked_at IS NULL`
  yield* sql`CREATE INDEX session_tokens_revoked ON session_tokens (revoked_at) WHERE revoked_at IS NOT NULL`

  yield* sql`CREATE TABLE pairing_codes (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    name TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_by TEXT REFERENCES session_tokens (id) ON DELETE CASCADE
  )`
  yield* sql`CREATE UNIQUE INDEX pairing_codes_used ON pairing_codes (used_by) WHERE used_by IS NOT NULL`
  yield* sql`CREATE INDEX pairing_codes_open ON pairing_codes (tenant_id, id) WHERE used_by IS NULL`
  yield* sql`CREATE INDEX pairing_codes_expiry ON pairing_codes (expires_at) WHERE used_by IS NULL`

  yield* sql`CREATE TABLE pairing_requests (
    id TEXT PRIMARY KEY,
    device_hash TEXT NOT NULL UNIQUE,
    user_hash TEXT NOT NULL UNIQUE,
    hostname TEXT NOT NULL,
    name TEXT,
    address TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    interval_seconds BIGINT NOT NULL,
    last_polled_at BIGINT,
    decision TEXT CHECK (decision IN ('approved', 'denied')),
    tenant_id TEXT,
    user_id TEXT,
    used_by TEXT REFERENCES session_tokens (id) ON DELETE CASCADE
  )`
  yield* sql`CREATE UNIQUE INDEX pairing_requests_used ON pairing_requests (used_by) WHERE used_by IS NOT NULL`
  yield* sql`CREATE INDEX pairing_requests_expiry ON pairing_requests (expires_at) WHERE used_by IS NULL`

  yield* sql`CREATE TABLE edge_events (
    id BIGINT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    type TEXT NOT NULL,
    edge_id TEXT NOT NULL,
    token_id TEXT,
    at BIGINT NOT NULL
  )`
  yield* sql`CREATE INDEX edge_events_of_tenant ON edge_events (tenant_id, id)`
  yield* sql`CREATE INDEX edge_events_age ON edge_events (at)`

  // A row, not a sequence: its lock makes ids count up in the order of the commits.
  yield* sql`CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL)`
  yield* sql`INSERT INTO counters (name, value) VALUES ('edge_events', 0), ('edge_events_dropped', 0)`

  yield* sql`CREATE TABLE audit_log (
    id TEXT PRIMARY KEY,
    tenant_id TEXT,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    actor TEXT,
    edge_id TEXT,
    address TEXT,
    request_id TEXT,
    detail TEXT
  )`
  yield* sql`CREATE INDEX audit_log_of_tenant ON audit_log (tenant_id, id)`
  yield* sql`CREATE INDEX audit_log_of_action ON audit_log (tenant_id, action, id)`
  yield* sql`CREATE INDEX audit_log_of_edge ON audit_log (tenant_id, edge_id, id)`
  yield* sql`CREATE INDEX audit_log_age ON audit_log (at)`
})
