import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Edges } from "@edge-relay/domain/edges/Edges"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Database } from "@edge-relay/storage/database/Database"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import { Effect, Layer, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { freePort } from "../gateway/Program.ts"
import { Child, packages } from "./Child.ts"

/** `npm run proxy` as it is, on a SQLite database of its own, with `probe.ts` in it. */

export interface PairedEdge {
  readonly edgeId: EdgeId
  readonly token: string
}

/** Edges with a token each, as the api makes them. */
export const seedEdges = (databaseUrl: string, count: number): Promise<ReadonlyArray<PairedEdge>> => {
  const crypto = Layer.mergeAll(SecureRandom.layerWebCrypto, Digest.layerWebCrypto)
  const storage = SqlStorage.layer.pipe(
    Layer.provide(Database.layer({ url: Redacted.make(databaseUrl) })),
    Layer.provideMerge(crypto)
  )
  return Effect.gen(function* () {
    const edges = yield* Edges
    const tokens = yield* SessionTokens
    const tenantId = TenantId.make(yield* TypeId.make("tenant"))
    return yield* Effect.forEach(
      Array.from({ length: count }, (_, index) => `edge ${index}`),
      Effect.fnUntraced(function* (name) {
        const edge = yield* edges.create(tenantId, { name })
        const { secret } = yield* tokens.rotate(tenantId, edge.id)
        return { edgeId: edge.id, token: Redacted.value(secret) }
      })
    )
  }).pipe(Effect.provide(storage), Effect.runPromise)
}

export class Proxy {
  readonly internalKey = randomBytes(32).toString("base64")
  readonly tunnelUrl: string
  readonly internalUrl: string
  readonly #env: Readonly<Record<string, string>>
  #child: Child | undefined = undefined

  static async make(databaseUrl: string): Promise<Proxy> {
    return new Proxy(databaseUrl, await freePort(), await freePort())
  }

  private constructor(databaseUrl: string, tunnelPort: number, internalPort: number) {
    this.tunnelUrl = `ws://127.0.0.1:${tunnelPort}`
    this.internalUrl = `http://127.0.0.1:${internalPort}`
    this.#env = {
      DATABASE_URL: databaseUrl,
      INTERNAL_KEY: this.internalKey,
      INTERNAL_PORT: String(internalPort),
      TUNNEL_PORT: String(tunnelPort),
      LOG_FORMAT: "json",
      DRAIN_SECONDS: "0"
    }
  }

  get child(): Child {
    if (this.#child === undefined) throw new Error("the proxy was not started")
    return this.#child
  }

  /** Also again, on the same ports, once it was killed. */
  async start(): Promise<void> {
    this.#child = new Child(join(packages, "server-proxy/src/main.ts"), [], {
      env: this.#env,
      flags: ["--import", join(import.meta.dirname, "probe.ts")]
    })
    await this.#child.printed(/the proxy is up/)
  }

  async kill(): Promise<void> {
    await this.#child?.kill()
  }

  /** The sum of a metric's series. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.internalUrl}/metrics`)).text()
    let sum = 0
    for (const [, value] of text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, "gm")))
      sum += Number(value)
    return sum
  }
}
