import { mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Program } from "@edge-relay/testkit/Program"
import { eventuallyEffect } from "@edge-relay/testkit/Eventually"
import { startProxy } from "@edge-relay/testkit/proxy/ProxyProcess"
import { startDatabase } from "@edge-relay/testkit/proxy/TestDatabase"
import { ask, askJson, internalKey } from "@edge-relay/testkit/proxy/TestProxyServer"

const run = (environment: Record<string, string>, folder: string) =>
  Effect.promise(async () => {
    const program = new Program("packages/server-proxy/src/main.ts", [], environment, folder)
    const status = await program.exited
    return { status, output: program.output }
  })

describe("npm run proxy", () => {
  it.live(
    "names every fault of its environment at once, without a secret, and ends with 78",
    () =>
      Effect.gen(function* () {
        const { folder } = yield* startDatabase
        const { status, output } = yield* run(
          {
            INTERNAL_KEY: "too-short-secret",
            TUNNEL_PORT: "99999",
            TUNNEL_HOST: "no host",
            DATABASE_URL: "mysql://user:password@db",
            TRUSTED_PROXIES: "10.0.0.0/99",
            HEARTBEAT_SECONDS: "30",
            TUNNEL_QUERY_TOKEN: "maybe"
          },
          folder
        )
        assert.strictEqual(status, 78)
        for (const name of [
          "INTERNAL_KEY must be 32 bytes at least, e.g. INTERNAL_KEY=",
          "TUNNEL_PORT must be a whole number from 0 to 65535, e.g. TUNNEL_PORT=3800",
          "TUNNEL_HOST",
          "DATABASE_URL",
          "TRUSTED_PROXIES",
          "SILENCE_SECONDS must be twice HEARTBEAT_SECONDS at least",
          "TUNNEL_QUERY_TOKEN must be one of true, false"
        ]) {
          assert.include(output, name)
        }
        assert.notInclude(output, "too-short-secret")
        assert.notInclude(output, "user:password")
      }),
    60_000
  )

  it.live(
    "says in one line which port is taken and what changes it, and ends with 78",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const { tunnelPort } = yield* startProxy(database)
        const { status, output } = yield* run(
          {
            INTERNAL_KEY: internalKey,
            DATABASE_URL: database.url,
            TUNNEL_PORT: String(tunnelPort),
            INTERNAL_PORT: "0",
            LOG_LEVEL: "error"
          },
          database.folder
        )
        assert.strictEqual(status, 78)
        assert.strictEqual(
          output,
          `port ${tunnelPort} on 127.0.0.1 is taken: set TUNNEL_PORT to another one\n`
        )
      }),
    60_000
  )

  it.live(
    "starts without its database, says so, and heals by itself",
    () =>
      Effect.gen(function* () {
        const { folder } = yield* startDatabase
        // A folder in the file's place: SQLite cannot open it.
        const file = join(folder, "later.db")
        mkdirSync(file)
        const proxy = yield* startProxy({ folder, url: `sqlite:${file}` })
        const ready = askJson(`${proxy.internalUrl}/readyz`)
        const { status, body } = yield* ready
        assert.strictEqual(status, 503)
        assert.deepInclude(body.missing, { name: "database", reason: "does not answer" })
        assert.strictEqual((yield* ask(`${proxy.internalUrl}/healthz`)).status, 200)
        rmSync(file, { recursive: true })
        yield* eventuallyEffect(
          "ready",
          Effect.map(ready, ({ status }) => status === 200)
        )
      }),
    60_000
  )
})
