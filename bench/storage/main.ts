import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Effect, Layer, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { Pairing } from "@edge-relay/domain/pairing/Pairing"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { UserId } from "@edge-relay/domain/ids/UserId"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Database } from "@edge-relay/storage/database/Database"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import { seedEdges } from "./SeedEdges.ts"

/**
 * What the repositories cost, without HTTP: a page of edges of a tenant of 10,000 among 1,000,000, the look-up of a
 * token, an exchange. `node bench/storage/main.ts [DATABASE_URL] [edges]`; a SQLite file of its own by default.
 */

const [url, edgesArgument = "1000000"] = process.argv.slice(2)
const total = Number(edgesArgument)

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "edge-relay-bench-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
)

const storage = Layer.unwrap(
  Effect.map(folder, (folder) =>
    Pairing.layer.pipe(
      Layer.provideMerge(SqlStorage.layer),
      Layer.provideMerge(Database.layer({ url: Redacted.make(url ?? `sqlite:${folder}/bench.db`) })),
      Layer.provideMerge(Layer.merge(SecureRandom.layerWebCrypto, Digest.layerWebCrypto))
    )
  )
)

/** Runs one after the other, as a request that has to wait for it would see them. */
const measure = Effect.fnUntraced(function* <A, E, R>(
  what: string,
  times: number,
  task: (n: number) => Effect.Effect<A, E, R>
) {
  const millis: Array<number> = []
  for (let n = 0; n < times; n++) {
    const start = performance.now()
    yield* task(n)
    millis.push(performance.now() - start)
  }
  millis.sort((a, b) => a - b)
  const at = (share: number) => (millis[Math.floor(times * share)] ?? 0).toFixed(3)
  yield* Effect.sync(() =>
    process.stdout.write(`${what.padEnd(40)} p50 ${at(0.5)} ms   p99 ${at(0.99)} ms   (${times} times)\n`)
  )
})

await Effect.runPromise(
  Effect.gen(function* () {
    const edges = yield* Edges
    const tokens = yield* SessionTokens
    const pairing = yield* Pairing
    const start = performance.now()
    const tenantId = yield* seedEdges({ edges: total, ofTenant: Math.min(10_000, total) })
    const userId = UserId.make(yield* TypeId.make("user"))
    yield* Effect.sync(() =>
      process.stdout.write(`${total} edges seeded in ${((performance.now() - start) / 1000).toFixed(1)} s\n`)
    )

    const pages = [undefined, ...(yield* cursors(tenantId))]
    yield* measure("a page of 50 edges", 2000, (n) =>
      edges.list(tenantId, { limit: 50, cursor: pages[n % pages.length] })
    )
    yield* measure("a page of 200 edges", 1000, (n) =>
      edges.list(tenantId, { limit: 200, cursor: pages[n % pages.length] })
    )
    yield* measure("a page of 50 edges by label", 1000, () =>
      edges.list(tenantId, { limit: 50, label: "gpu" })
    )
    yield* measure("edges by a name that none has", 100, () =>
      edges.list(tenantId, { limit: 50, q: "nothing" })
    )
    yield* measure("the number of edges", 500, () => edges.count(tenantId))

    const { code } = yield* pairing.createCode(tenantId, userId, {})
    const { token } = yield* pairing.exchange({ code })
    yield* measure("authenticate a token", 5000, () => tokens.authenticate(token))
    yield* measure("a code, and its exchange", 300, () =>
      Effect.flatMap(pairing.createCode(tenantId, userId, {}), ({ code }) => pairing.exchange({ code }))
    )
  }).pipe(Effect.provide(storage), Effect.scoped)
)

/** Where a hundred pages of the tenant begin. */
function cursors(tenantId: Parameters<Edges["Service"]["list"]>[0]) {
  return Effect.gen(function* () {
    const edges = yield* Edges
    const found: Array<string> = []
    while (found.length < 100) {
      const { nextCursor } = yield* edges.list(tenantId, { limit: 90, cursor: found.at(-1) })
      if (nextCursor === null) break
      found.push(nextCursor)
    }
    return found
  })
}
