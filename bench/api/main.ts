import { mkdtemp, rm } from "node:fs/promises"
import { Agent, request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { randomBytes } from "node:crypto"
import { tenantId } from "@edge-relay/auth/sign-in/Identity"
import { Database } from "@edge-relay/storage/database/Database"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import { Effect, Layer, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { Program } from "@edge-relay/testkit/Program"
import { addresses, signIn } from "@edge-relay/testkit/RelaySystem"
import { seedEdges } from "../storage/SeedEdges.ts"

/**
 * `GET /api/edges` over HTTP at 200 requests/s, with 10,000 edges in the tenant and 1,000,000 in the database, on
 * SQLite: the real api as a process, and a signed-in session. Requests leave when they are due, whether or not
 * earlier ones were answered, so that a pause of the server counts for all whom it keeps waiting.
 *
 *   npm run bench -- api [edges] [seconds]
 */

const [edgesArgument = "1000000", secondsArgument = "30"] = process.argv.slice(2)
const edges = Number(edgesArgument)
const seconds = Number(secondsArgument)
const ratePerSecond = 200
const barMillis = 20

const home = await mkdtemp(join(tmpdir(), "edge-relay-bench-"))
const at = await addresses()
const database = `sqlite:${home}/bench.db`
const env = {
  ...at.env,
  PUBLIC_URL: at.api,
  TUNNEL_URL: at.tunnel,
  PROXY_INTERNAL_URL: at.internal,
  INTERNAL_KEY: randomBytes(32).toString("base64"),
  SESSION_KEYS: randomBytes(32).toString("base64"),
  OIDC_ISSUER: at.provider,
  OIDC_CLIENT_ID: "edge-relay",
  OIDC_TENANT_CLAIM: "tenant",
  DATABASE_URL: database,
  LOG_LEVEL: "info"
}

const storage = SqlStorage.layer.pipe(
  Layer.provideMerge(Database.layer({ url: Redacted.make(database) })),
  Layer.provideMerge(Layer.merge(SecureRandom.layerWebCrypto, Digest.layerWebCrypto))
)

const quantile = (sorted: ReadonlyArray<number>, share: number): string =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)

const measure = async (what: string, path: string, cookie: string): Promise<boolean> => {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const millis: Array<number> = []
  let failures = 0
  const ask = (due: number) =>
    new Promise<void>((resolve) => {
      const outgoing = request(`${at.api}${path}`, { agent, headers: { cookie } }, (response) => {
        if (response.statusCode !== 200) failures++
        response.resume()
        response.on("end", () => {
          millis.push(performance.now() - due)
          resolve()
        })
      })
      outgoing.on("error", () => {
        failures++
        resolve()
      })
      outgoing.end()
    })
  const total = ratePerSecond * seconds
  const began = performance.now()
  const asked: Array<Promise<void>> = []
  while (asked.length < total) {
    const due = began + (asked.length * 1000) / ratePerSecond
    const wait = due - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    // Of the moment it was sent: this client's timers are late by up to a millisecond.
    asked.push(ask(Math.max(due, performance.now() - 2)))
  }
  await Promise.all(asked)
  agent.destroy()
  millis.sort((a, b) => a - b)
  const passed = failures === 0 && Number(quantile(millis, 0.99)) < barMillis
  console.log(
    `${what.padEnd(28)} p50 ${quantile(millis, 0.5)} ms   p99 ${quantile(millis, 0.99)} ms   max ${quantile(millis, 1)} ms   ${failures} failed   ${passed ? "holds" : "missed"}`
  )
  return passed
}

try {
  const tenant = tenantId(at.provider, "alice", "ackermann")
  const began = performance.now()
  await Effect.runPromise(
    seedEdges({ edges, ofTenant: Math.min(10_000, edges), tenantId: tenant }).pipe(Effect.provide(storage))
  )
  console.log(`${edges} edges seeded in ${((performance.now() - began) / 1000).toFixed(1)} s`)
  await using provider = new Program("packages/devkit/src/provider/main.ts", [], env, home)
  await using api = new Program("packages/server-api/src/main.ts", [], env, home)
  await provider.printed(/identity provider/)
  await api.printed(/the API is up/)
  const cookie = (await signIn(at.api, "alice")).cookieFor(at.api)
  console.log(`${ratePerSecond} requests/s for ${seconds} s each; the bar: p99 under ${barMillis} ms`)
  const results = [
    await measure("a page of 50", "/api/edges", cookie),
    await measure("a page of 200", "/api/edges?limit=200", cookie),
    await measure("50 with a label", "/api/edges?label=gpu", cookie)
  ]
  if (results[0] === false) process.exitCode = 1
} finally {
  await rm(home, { recursive: true, force: true })
}
