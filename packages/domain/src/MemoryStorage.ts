import { Layer } from "effect"
import { AccessTokens } from "./access-tokens/AccessTokens.ts"
import { AuditLog } from "./audit/AuditLog.ts"
import { EdgeEvents } from "./edges/EdgeEvents.ts"
import { Edges } from "./edges/Edges.ts"
import { PairingCodes } from "./pairing/PairingCodes.ts"
import { PairingRequests } from "./pairing/PairingRequests.ts"
import { SessionTokens } from "./tunnels/SessionTokens.ts"
import { TerminalRequests } from "./sign-in/TerminalRequests.ts"
import { Transaction } from "./Transaction.ts"

/** Every repository in this process's memory, gone with it. `@edge-relay/storage/SqlStorage` keeps them. */
export const layer = SessionTokens.layerMemory.pipe(
  Layer.provideMerge(Edges.layerMemory),
  Layer.provideMerge(
    Layer.mergeAll(
      AccessTokens.layerMemory,
      AuditLog.layerMemory,
      EdgeEvents.layerMemory,
      PairingCodes.layerMemory,
      PairingRequests.layerMemory,
      TerminalRequests.layerMemory,
      Transaction.layerMemory
    )
  )
)
