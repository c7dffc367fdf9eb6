import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/**
 * What providers have logged out lately, for the sign-ins that a logout overtakes, and sign-ins under way by their
 * state alone. `issued_at` is the provider's time, in seconds; `arrived_at` ours, in milliseconds.
 */
export const signInLogouts = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  yield* sql`CREATE TABLE sign_in_logouts (
    logout_key TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT,
    sid TEXT,
    issued_at BIGINT NOT NULL,
    arrived_at BIGINT NOT NULL
  )`
  yield* sql`CREATE INDEX sign_in_logouts_of_issuer ON sign_in_logouts (issuer, issued_at)`
  yield* sql`CREATE INDEX sign_in_logouts_age ON sign_in_logouts (arrived_at)`
  yield* sql`CREATE INDEX sign_in_pending_of_state ON sign_in_pending (state)`
})
