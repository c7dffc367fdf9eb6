import { EdgeView } from "@edge-relay/domain/api/Edges"
import { Schema } from "effect"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { createServer, connect, type Server, type Socket } from "node:net"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { isInstalled, RedisServer } from "@edge-relay/testkit/RedisServer"
import type { Browser } from "@edge-relay/testkit/SignedInBrowser"
import { Origin } from "@edge-relay/testkit/AppOrigin"
import { freePorts, Program, until } from "@edge-relay/testkit/Program"
import { agent, edgesOf, folder, pairingCode, signIn } from "@edge-relay/testkit/RelaySystem"

/**
 * What stands before the proxies' tunnel ports: connections go to one of them, until it is told another. Those that
 * it cuts then break off for the agent only: its old proxy hears nothing of it, as when a machine's network changes.
 */
class Switch implements AsyncDisposable {
  readonly #server: Server
  readonly #proxySides = new Set<Socket>()
  readonly #agentSides = new Set<Socket>()
  #target: number

  private constructor(server: Server, target: number) {
    this.#server = server
    this.#target = target
  }

  static async start(port: number, target: number): Promise<Switch> {
    const server = createServer({ allowHalfOpen: true })
    const made = new Switch(server, target)
    server.on("connection", (socket) => made.#join(socket))
    await once(server.listen(port, "localhost"), "listening")
    return made
  }

  moveTo(target: number): void {
    this.#target = target
    for (const socket of this.#agentSides) socket.destroy()
  }

  #join(agentSide: Socket): void {
    const proxySide = connect(this.#target, "127.0.0.1")
    this.#agentSides.add(agentSide)
    this.#proxySides.add(proxySide)
    agentSide.on("error", () => {})
    proxySide.on("error", () => {})
    agentSide.on("close", () => this.#agentSides.delete(agentSide))
    proxySide.on("close", () => {
      this.#proxySides.delete(proxySide)
      agentSide.destroy()
    })
    agentSide.pipe(proxySide, { end: false })
    proxySide.pipe(agentSide, { end: false })
    // What comes for an agent that is gone is lost; it must not stop what else the proxy has to say.
    agentSide.on("close", () => proxySide.resume())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of [...this.#agentSides, ...this.#proxySides]) socket.destroy()
    this.#server.close()
  }
}

const startCluster = async () => {
  const stack = new AsyncDisposableStack()
  const home = stack.use(await folder())
  const state = stack.use(await folder())
  const origin = stack.use(await Origin.start())
  const redis = stack.use(await RedisServer.create())
  await redis.start()
  const ports = await freePorts(10)
  const port = (index: number) => ports[index] ?? 0
  const url = (index: number) => `http://localhost:${port(index)}`
  const apis = [url(0), url(1)]
  const entry = stack.use(await Switch.start(port(9), port(4)))
  const env = {
    PUBLIC_URL: url(0),
    TUNNEL_URL: `ws://localhost:${port(9)}`,
    INTERNAL_KEY: randomBytes(32).toString("base64"),
    SESSION_KEYS: randomBytes(32).toString("base64"),
    OIDC_ISSUER: url(8),
    OIDC_CLIENT_ID: "edge-relay",
    OIDC_TENANT_CLAIM: "tenant",
    DATABASE_URL: `sqlite:${home.path}/relay.db`,
    REDIS_URL: redis.url,
    DRAIN_SECONDS: "1"
  }
  const start = (script: string, more: Record<string, string>) =>
    stack.use(new Program(`packages/${script}`, [], { ...env, ...more }, home.path))

  start("devkit/src/provider/main.ts", { PROVIDER_PORT: String(port(8)) })
  for (const index of [0, 1]) {
    start("server-api/src/main.ts", {
      API_PORT: String(port(index)),
      API_INTERNAL_PORT: String(port(index + 2))
    })
  }
  const [proxyA, proxyB] = [0, 1].map((index) => {
    const internal = `http://127.0.0.1:${port(index + 6)}`
    const program = start("server-proxy/src/main.ts", {
      PROXY_ID: index === 0 ? "proxy-a" : "proxy-b",
      TUNNEL_PORT: String(port(index + 4)),
      INTERNAL_PORT: String(port(index + 6)),
      PROXY_INTERNAL_URL: internal
    })
    return { program, internal, tunnelPort: port(index + 4) }
  })
  if (proxyA === undefined || proxyB === undefined) throw new Error("two proxies were started")

  const ready = (wished: "ready" | "degraded") =>
    Promise.all(
      [...apis, proxyA.internal, proxyB.internal].map((server) =>
        until(
          async () => {
            const answer = await fetch(`${server}/readyz`)
            return { status: answer.status, text: await answer.text() }
          },
          ({ status, text }) => status === 200 && text.includes(`"status":"${wished}"`),
          60
        )
      )
    )
  await ready("ready")
  const alice = await signIn(url(0), "alice")
  const code = await pairingCode(alice, url(0), "a machine")
  const pair = agent(["pair", code, "--url", url(0), "--to", `http://127.0.0.1:${origin.port}`], state.path)
  assert.strictEqual(await pair.exited, 0, pair.output)
  stack.use(agent(["run"], state.path))
  return { stack, apis, alice, internalKey: env.INTERNAL_KEY, redis, entry, proxyA, proxyB, ready }
}

const decodeEdge = Schema.decodeUnknownSync(Schema.toCodecJson(EdgeView))

/** What an api says of the edge: online, and at which proxy; and whether the machine itself answers through it. */
const seenBy = async (alice: Browser, api: string, edgeId: string) => {
  const edge = decodeEdge((await alice.json("GET", `${api}/api/edges/${edgeId}`)).json)
  const { status } = await alice.json("GET", `${api}/api/edges/${edgeId}/http/hello`)
  return { online: edge.online, proxy: edge.session?.proxyId, status }
}

// One cluster for all, and one story: what a test takes away, the next ones do without.
describe.skipIf(!isInstalled)("two apis and two proxies that share a Redis", { shuffle: false }, () => {
  let cluster: Awaited<ReturnType<typeof startCluster>>
  let edgeId = ""

  beforeAll(async () => {
    cluster = await startCluster()
  }, 120_000)
  afterAll(() => cluster?.stack.disposeAsync())

  const isSeenAt = (proxy: string, seconds?: number) =>
    Promise.all(
      cluster.apis.map((api) =>
        until(
          () => seenBy(cluster.alice, api, edgeId),
          (seen) => seen.online && seen.proxy === proxy && seen.status === 200,
          seconds
        )
      )
    )

  /** The other api follows within a second; it is given two, for machines that do much else meanwhile. */
  const follows = async (proxy: string) => {
    const [api = ""] = cluster.apis
    await until(
      () => seenBy(cluster.alice, api, edgeId),
      (seen) => seen.proxy === proxy
    )
    await isSeenAt(proxy, 2)
  }

  it("both reach an edge at the proxy that it dialled, wherever its person signed in", async () => {
    for (const api of cluster.apis) {
      const [edge] = await until(
        () => edgesOf(cluster.alice, api),
        (items) => items[0]?.online === true
      )
      edgeId = edge?.id ?? ""
    }
    await isSeenAt("proxy-a")
  })

  it("follow it when it dials another proxy; the one that it left, and that has not noticed, lets it go", async () => {
    cluster.entry.moveTo(cluster.proxyB.tunnelPort)
    await follows("proxy-b")
    const left = await fetch(`${cluster.proxyA.internal}/internal/sessions`, {
      headers: { authorization: `Bearer ${cluster.internalKey}` }
    })
    assert.deepStrictEqual([left.status, await left.json()], [200, []])
  })

  it("say that Redis is away, go on with what they have, and heal when it is back with nothing in it", async () => {
    await cluster.redis.stop()
    for (const { text } of await cluster.ready("degraded")) assert.include(text, "session directory")
    await isSeenAt("proxy-b")
    await cluster.redis.start()
    await cluster.ready("ready")
    await isSeenAt("proxy-b")
  })

  it("find it at the other proxy when its own is killed", async () => {
    await cluster.proxyB.program.stop("SIGKILL")
    cluster.entry.moveTo(cluster.proxyA.tunnelPort)
    await follows("proxy-a")
  })

  it("count tries together", async () => {
    const statuses: Array<number> = []
    for (let i = 0; i < 10; i++) {
      for (const api of cluster.apis) {
        const { status } = await cluster.alice.json("POST", `${api}/api/pairing/exchange`, {
          code: "BCDF-GHJK"
        })
        statuses.push(status)
      }
    }
    // Ten at once; the machine's own pairing may have been one of them.
    const first = statuses.indexOf(429)
    assert.include([9, 10], first, statuses.join(" "))
    assert.deepStrictEqual(new Set(statuses.slice(first)), new Set([429]))
  })
})
