import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** What somebody may do. Whoever signed in before there were roles may everything, as until then. */
export const roleColumns = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE sign_in_sessions ADD COLUMN role TEXT NOT NULL DEFAULT 'admin'`
  yield* sql`ALTER TABLE access_tokens ADD COLUMN role TEXT NOT NULL DEFAULT 'admin'`
  yield* sql`ALTER TABLE terminal_requests ADD COLUMN role TEXT`
})
