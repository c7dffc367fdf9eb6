import { describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { crypto } from "../../domain/test/contract/Fixtures.ts"
import * as StorageContract from "../../domain/test/contract/StorageContract.ts"
import { Database } from "../src/Database.ts"
import * as SqlStorage from "../src/SqlStorage.ts"
import { isInstalled, PostgresServer } from "./PostgresServer.ts"

const server = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = await PostgresServer.create()
    await server.start()
    return server
  }),
  (server) => Effect.promise(() => server.remove())
)

const database = Layer.unwrap(
  Effect.map(server, (server) => Database.layer({ url: Redacted.make(server.url()) }))
)

describe.skipIf(!isInstalled)("Postgres (needs initdb and postgres)", () => {
  layer(SqlStorage.layer.pipe(Layer.provideMerge(database), Layer.provideMerge(crypto)), {
    timeout: "60 seconds"
  })((it) => StorageContract.suite("Postgres", it))
})
