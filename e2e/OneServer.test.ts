import { assert, describe, it } from "vitest"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { request } from "node:http"
import { WebSocket } from "ws"
import { Origin } from "@edge-relay/testkit/AppOrigin"
import { Program, until } from "@edge-relay/testkit/Program"
import { addresses, agent, edgesOf, folder, pairingCode, signIn } from "@edge-relay/testkit/RelaySystem"

const server = "packages/server-all/src/main.ts"
const provider = "packages/devkit/src/provider/main.ts"

const environment = (at: Awaited<ReturnType<typeof addresses>>, home: string) => ({
  ...at.env,
  PUBLIC_URL: at.api,
  TUNNEL_URL: at.tunnel,
  // Nobody is there: a byte that went over a link would get nowhere.
  PROXY_INTERNAL_URL: "http://127.0.0.1:9",
  INTERNAL_KEY: randomBytes(32).toString("base64"),
  SESSION_KEYS: randomBytes(32).toString("base64"),
  OIDC_ISSUER: at.provider,
  OIDC_CLIENT_ID: "edge-relay",
  OIDC_TENANT_CLAIM: "tenant",
  DATABASE_URL: `sqlite:${home}/relay.db`,
  LOG_FORMAT: "json",
  DRAIN_SECONDS: "20"
})

const statusOf = async (url: string) => (await fetch(url)).status

describe("api and proxy as one process", () => {
  it("carries requests without a link, tells who is online, and drains", async () => {
    await using home = await folder()
    await using state = await folder()
    await using origin = await Origin.start()
    const at = await addresses()
    const env = environment(at, home.path)
    await using _provider = new Program(provider, [], env, home.path)
    await using system = new Program(server, [], env, home.path)
    await until(
      () => Promise.all([statusOf(`${at.api}/readyz`), statusOf(`${at.internal}/readyz`)]),
      (statuses) => statuses.every((status) => status === 200)
    )

    const alice = await signIn(at.api, "alice")
    const code = await pairingCode(alice, at.api, "a machine")
    const pair = agent(["pair", code, "--url", at.api, "--to", `http://127.0.0.1:${origin.port}`], state.path)
    assert.strictEqual(await pair.exited, 0, pair.output)
    await using running = agent(["run"], state.path)
    const list = () => edgesOf(alice, at.api)
    const [edge] = await until(list, (items) => items[0]?.online === true)
    const own = `${at.api}/api/edges/${edge?.id}`

    const body = randomBytes(20_000_000)
    const up = await alice.send("POST", `${own}/http/hash`, { "sec-fetch-site": "same-origin" }, body)
    const sha256 = createHash("sha256").update(body).digest("hex")
    assert.deepEqual(JSON.parse(up.text), { size: body.length, sha256 })
    const both = await alice.send("POST", `${own}/http/echo`, { "sec-fetch-site": "same-origin" }, body)
    assert.isTrue(both.body.equals(body))
    const cookie = alice.cookieFor(at.api)
    const socket = new WebSocket(`${own.replace("http", "ws")}/http/socket`, {
      headers: { cookie, origin: at.api }
    })
    await once(socket, "open")
    socket.send("hello")
    assert.strictEqual(String((await once(socket, "message"))[0]), "hello")
    socket.close()

    // Counters are the tunnel's own, asked where it is.
    const session = await alice.json("GET", `${own}/session`)
    assert.strictEqual(session.status, 200)
    assert.include(JSON.stringify(session.json), '"protocol":"v2"')

    // Each internal port shows the metrics of all that is in the process: one of them is scraped.
    for (const port of [at.env["API_INTERNAL_PORT"], at.env["INTERNAL_PORT"]]) {
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      assert.match(metrics, /^tunnel_sessions 1$/m)
      assert.match(metrics, /^api_proxies_missing 0$/m)
    }

    // The agent is cut off, and comes back.
    const disconnect = { "sec-fetch-site": "same-origin" }
    assert.isBelow((await alice.send("POST", `${own}/disconnect`, disconnect)).status, 300)
    await until(list, (items) => items[0]?.online === true)
    await until(
      async () => (await alice.json("GET", `${own}/http/hello`)).status,
      (status) => status === 200
    )

    // What runs when it is told to stop is carried to its end.
    const download = request(`${own}/http/bytes/50000000`, { headers: { cookie } }).end()
    const [answer] = await once(download, "response")
    system.child.kill("SIGTERM")
    await until(
      () => statusOf(`http://127.0.0.1:${at.env["API_INTERNAL_PORT"]}/readyz`),
      (status) => status === 503
    )
    let size = 0
    for await (const chunk of answer) size += chunk.length
    assert.strictEqual(size, 50_000_000)
    await running.stop("SIGTERM")
    assert.strictEqual(await system.exited, 0, system.output)
    assert.notInclude(system.output, '"level":"ERROR"')
  }, 180_000)

  it.each([
    ["REDIS_URL", { REDIS_URL: "redis://127.0.0.1:6379" }, /REDIS_URL is for several servers/],
    ["TUNNEL_PORT", { TUNNEL_PORT: "70000" }, /TUNNEL_PORT/],
    ["API_PORT", { API_PORT: "no" }, /API_PORT/]
  ])("refuses a wrong %s, and exits 78", async (_name, changes, message) => {
    await using home = await folder()
    const env = { ...environment(await addresses(), home.path), ...changes }
    await using program = new Program(server, [], env, home.path)
    assert.strictEqual(await program.exited, 78, program.output)
    assert.match(program.output, message)
  })
})
