import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** The one action that was spelled with a hyphen. */
export const auditActionNames = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => sql`UPDATE audit_log SET action = 'edge.token_contended' WHERE action = 'edge.token-contended'`
)
