import { NodeCrypto } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Database } from "@edge-relay/storage/Database"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import { SessionDirectory } from "@edge-relay/tunnel/SessionDirectory"
import { Config } from "./Config.ts"
import { Readiness } from "./Readiness.ts"

/** What `main.ts` closes `Server.ts` with: the database that the api shares, and the directory of the cluster. */
export const layer = Layer.unwrap(
  Effect.map(Config, ({ databaseUrl, proxyInternalUrl }) => {
    const readiness = Layer.unwrap(
      Effect.map(Database, ({ ready }) => Readiness.layer([{ name: "database", ready }]))
    )
    return Layer.mergeAll(SqlStorage.layer, readiness, SessionDirectory.layerMemory(proxyInternalUrl)).pipe(
      Layer.provide(Database.layer({ url: databaseUrl })),
      Layer.provide(NodeCrypto.layer)
    )
  })
)
