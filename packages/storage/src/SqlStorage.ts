import { Layer } from "effect"
import * as AuditLogSql from "./AuditLogSql.ts"
import * as EdgeEventsSql from "./EdgeEventsSql.ts"
import * as EdgesSql from "./EdgesSql.ts"
import * as PairingCodesSql from "./PairingCodesSql.ts"
import * as PairingRequestsSql from "./PairingRequestsSql.ts"
import * as SessionTokensSql from "./SessionTokensSql.ts"
import * as TransactionSql from "./TransactionSql.ts"

/** Every repository in one `Database`, SQLite or Postgres. Needs `Digest` and `SecureRandom`, too. */
export const layer = Layer.mergeAll(
  AuditLogSql.layer,
  EdgesSql.layer,
  PairingCodesSql.layer,
  PairingRequestsSql.layer,
  SessionTokensSql.layer,
  TransactionSql.layer
).pipe(Layer.provideMerge(EdgeEventsSql.layer))
