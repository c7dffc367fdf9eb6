import { Layer } from "effect"
import { AuditLog } from "./AuditLog.ts"
import { EdgeEvents } from "./EdgeEvents.ts"
import { Edges } from "./Edges.ts"
import { PairingCodes } from "./PairingCodes.ts"
import { PairingRequests } from "./PairingRequests.ts"
import { SessionTokens } from "./SessionTokens.ts"
import { Transaction } from "./Transaction.ts"

/** Every repository in this process's memory, gone with it. `@edge-relay/storage/SqlStorage` keeps them. */
export const layer = SessionTokens.layerMemory.pipe(
  Layer.provideMerge(Edges.layerMemory),
  Layer.provideMerge(
    Layer.mergeAll(
      AuditLog.layerMemory,
      EdgeEvents.layerMemory,
      PairingCodes.layerMemory,
      PairingRequests.layerMemory,
      Transaction.layerMemory
    )
  )
)
