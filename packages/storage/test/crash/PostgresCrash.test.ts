import { afterAll, beforeAll, describe } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Database } from "../../src/database/Database.ts"
import * as CrashContract from "./CrashContract.ts"
import { isInstalled, PostgresServer } from "@edge-relay/testkit/PostgresServer"

describe.skipIf(!isInstalled)("Postgres (needs initdb and postgres)", () => {
  let server: PostgresServer
  let databases = 0

  beforeAll(async () => {
    server = await PostgresServer.create()
    await server.start()
  })
  afterAll(() => server.remove())

  CrashContract.suite("Postgres", async () => {
    const name = `test_${++databases}`
    const create = Database.use(({ sql }) => sql`CREATE DATABASE ${sql(name)}`)
    const postgres = Database.layer({ url: Redacted.make(server.url()) })
    await Effect.runPromise(create.pipe(Effect.provide(Layer.fresh(postgres))))
    return server.url(name)
  })
})
