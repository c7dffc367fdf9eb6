import { Layer } from "effect"
import * as AccessTokensSql from "./access-tokens/AccessTokensSql.ts"
import * as AuditLogSql from "./audit/AuditLogSql.ts"
import * as EdgeEventsSql from "./edges/EdgeEventsSql.ts"
import * as EdgesSql from "./edges/EdgesSql.ts"
import * as PairingCodesSql from "./pairing/PairingCodesSql.ts"
import * as PairingRequestsSql from "./pairing/PairingRequestsSql.ts"
import * as SessionTokensSql from "./edges/SessionTokensSql.ts"
import * as TerminalRequestsSql from "./sign-in/TerminalRequestsSql.ts"
import * as TransactionSql from "./database/TransactionSql.ts"

/** Every repository in one `Database`, SQLite or Postgres. Needs `Digest` and `SecureRandom`, too. */
export const layer = Layer.mergeAll(
  AccessTokensSql.layer,
  AuditLogSql.layer,
  EdgesSql.layer,
  PairingCodesSql.layer,
  PairingRequestsSql.layer,
  SessionTokensSql.layer,
  TerminalRequestsSql.layer,
  TransactionSql.layer
).pipe(Layer.provideMerge(EdgeEventsSql.layer))
