import { NodeCrypto } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Database } from "@edge-relay/storage/Database"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import { SessionDirectory } from "@edge-relay/tunnel/SessionDirectory"
import { Config } from "./Config.ts"
import { Readiness } from "./Readiness.ts"

/** What `main.ts` closes `Server.ts` with: the database that the api shares, and the directory of the cluster. */
export const layer = Layer.unwrap(
  Effect.map(Config, ({ databaseUrl, proxyInternalUrl }) =>
    Layer.mergeAll(SqlStorage.layer, readiness).pipe(
      Layer.provideMerge(SessionDirectory.layerMemory(proxyInternalUrl)),
      Layer.provide(Database.layer({ url: databaseUrl })),
      Layer.provide(NodeCrypto.layer)
    )
  )
)

const readiness = Layer.unwrap(
  Effect.gen(function* () {
    const database = yield* Database
    const directory = yield* SessionDirectory
    const lease = Effect.flatMap(directory.isAccepting, (accepting) =>
      accepting ? Effect.void : Effect.fail("no lease")
    )
    return Readiness.layer([
      { name: "database", ready: database.ready },
      { name: "session directory", ready: lease }
    ])
  })
)
