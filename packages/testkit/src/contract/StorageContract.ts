import * as AccessTokensContract from "./AccessTokensContract.ts"
import * as AuditLogContract from "./AuditLogContract.ts"
import * as EdgeEventsContract from "./EdgeEventsContract.ts"
import * as EdgesContract from "./EdgesContract.ts"
import type { It } from "./Fixtures.ts"
import * as PairingCodesContract from "./PairingCodesContract.ts"
import * as PairingContract from "./PairingContract.ts"
import * as PairingFaultsContract from "./PairingFaultsContract.ts"
import * as PairingRequestsContract from "./PairingRequestsContract.ts"
import * as SessionTokensContract from "./SessionTokensContract.ts"
import * as TerminalSignInContract from "./TerminalSignInContract.ts"

/** Every contract that a back end has to keep. */
export const suite = (name: string, it: It) => {
  EdgesContract.suite(name, it)
  EdgeEventsContract.suite(name, it)
  PairingCodesContract.suite(name, it)
  PairingRequestsContract.suite(name, it)
  SessionTokensContract.suite(name, it)
  PairingContract.suite(name, it)
  PairingFaultsContract.suite(name, it)
  AuditLogContract.suite(name, it)
  AccessTokensContract.suite(name, it)
  TerminalSignInContract.suite(name, it)
}
