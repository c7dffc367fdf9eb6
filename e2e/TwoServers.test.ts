import { assert, describe, it } from "vitest"
import { randomBytes } from "node:crypto"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { isInstalled, PostgresServer } from "@edge-relay/testkit/PostgresServer"
import { Origin } from "@edge-relay/testkit/AppOrigin"
import { Program, until } from "@edge-relay/testkit/Program"
import { addresses, agent, edgesOf, folder, pairingCode, signIn } from "@edge-relay/testkit/RelaySystem"

const api = "packages/server-api/src/main.ts"
const proxy = "packages/server-proxy/src/main.ts"
const provider = "packages/devkit/src/provider/main.ts"

/** What production's two processes are told, and nothing else. */
const environment = (at: Awaited<ReturnType<typeof addresses>>, database: string) => ({
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
  DRAIN_SECONDS: "2"
})

const ready = (url: string) =>
  until(
    async () => (await fetch(`${url}/readyz`)).status,
    (status) => status === 200
  )

describe("the two servers as processes of their own", () => {
  it("go on when either is stopped and started while the other runs", async () => {
    await using home = await folder()
    await using state = await folder()
    await using origin = await Origin.start()
    const at = await addresses()
    const env = environment(at, `sqlite:${home.path}/relay.db`)
    await using _provider = new Program(provider, [], env, home.path)
    // Both at once: the migrations run once, whichever comes first.
    const servers = {
      api: new Program(api, [], env, home.path),
      proxy: new Program(proxy, [], env, home.path)
    }
    await using stack = new AsyncDisposableStack()
    stack.defer(
      async () => void (await Promise.all([servers.api.stop("SIGKILL"), servers.proxy.stop("SIGKILL")]))
    )
    await Promise.all([ready(at.api), ready(at.internal)])

    const alice = await signIn(at.api, "alice")
    const code = await pairingCode(alice, at.api, "a machine")
    const pair = agent(["pair", code, "--url", at.api, "--to", `http://127.0.0.1:${origin.port}`], state.path)
    assert.strictEqual(await pair.exited, 0, pair.output)
    await using _agent = agent(["run"], state.path)
    const list = () => edgesOf(alice, at.api)
    const [edge] = await until(list, (items) => items[0]?.online === true)
    assert.isDefined(edge)
    const get = async () => (await alice.json("GET", `${at.api}/api/edges/${edge.id}/http/hello`)).status
    assert.strictEqual(await get(), 200)

    // The proxy goes: the edge is offline, the api lives; it comes back: so does the agent, by itself.
    assert.strictEqual(await servers.proxy.stop("SIGTERM"), 0, servers.proxy.output)
    assert.strictEqual(await until(get, (status) => status === 503), 503)
    servers.proxy = new Program(proxy, [], env, home.path)
    assert.strictEqual(await until(get, (status) => status === 200), 200)

    // The api goes and comes back: the tunnel stayed, the session still counts.
    assert.strictEqual(await servers.api.stop("SIGTERM"), 0, servers.api.output)
    servers.api = new Program(api, [], env, home.path)
    assert.strictEqual(await until(get, (status) => status === 200), 200)

    // Not asked politely.
    await servers.proxy.stop("SIGKILL")
    servers.proxy = new Program(proxy, [], env, home.path)
    assert.strictEqual(await until(get, (status) => status === 200), 200)
    await servers.api.stop("SIGKILL")
    servers.api = new Program(api, [], env, home.path)
    assert.strictEqual(await until(get, (status) => status === 200), 200)
  }, 240_000)

  it.skipIf(!isInstalled)(
    "share a Postgres database (needs postgres)",
    async () => {
      await using home = await folder()
      await using state = await folder()
      await using origin = await Origin.start()
      await using stack = new AsyncDisposableStack()
      const postgres = await PostgresServer.create()
      stack.defer(() => postgres.remove())
      await postgres.start()
      const at = await addresses()
      const env = environment(at, postgres.url())
      await using _provider = new Program(provider, [], env, home.path)
      // Both at once: the migrations run once, whichever comes first.
      await using _api = new Program(api, [], env, home.path)
      await using _proxy = new Program(proxy, [], env, home.path)
      await Promise.all([ready(at.api), ready(at.internal)])
      const alice = await signIn(at.api, "alice")
      const code = await pairingCode(alice, at.api, "a machine")
      const pair = agent(
        ["pair", code, "--url", at.api, "--to", `http://127.0.0.1:${origin.port}`],
        state.path
      )
      assert.strictEqual(await pair.exited, 0, pair.output)
      await using _agent = agent(["run"], state.path)
      const [edge] = await until(
        () => edgesOf(alice, at.api),
        (items) => items[0]?.online === true
      )
      assert.strictEqual((await alice.json("GET", `${at.api}/api/edges/${edge?.id}/http/hello`)).status, 200)
    },
    180_000
  )

  it.each([
    ["api", api, ["SESSION_KEYS", "OIDC_ISSUER", "OIDC_CLIENT_ID", "INTERNAL_KEY", "API_PORT"]],
    ["proxy", proxy, ["INTERNAL_KEY", "TUNNEL_PORT"]]
  ])(
    "the %s lists every fault of its configuration at once, and exits 78",
    async (_name, script, variables) => {
      await using home = await folder()
      const program = new Program(script, [], { API_PORT: "no", TUNNEL_PORT: "70000" }, home.path)
      assert.strictEqual(await program.exited, 78, program.output)
      for (const variable of variables) assert.include(program.output, variable)
    }
  )

  it("start without their database and provider, say so, and heal by themselves", async () => {
    await using home = await folder()
    const at = await addresses()
    // A folder where the file should be: SQLite cannot open it.
    const env = environment(at, `sqlite:${home.path}/missing/relay.db`)
    await writeFile(`${home.path}/missing`, "in the way")
    await using _api = new Program(api, [], env, home.path)
    await using _proxy = new Program(proxy, [], env, home.path)
    const missing = async (url: string) => {
      const answer = await fetch(`${url}/readyz`)
      return { status: answer.status, text: await answer.text() }
    }
    const down = await until(
      () => missing(at.api),
      (answer) => answer.status === 503
    )
    assert.match(down.text, /database/i)
    await until(
      () => missing(at.internal),
      (answer) => answer.status === 503
    )
    assert.strictEqual((await fetch(`${at.api}/healthz`)).status, 200)
    await rm(`${home.path}/missing`)
    await mkdir(`${home.path}/missing`)
    await using _provider = new Program(provider, [], env, home.path)
    await Promise.all([ready(at.api), ready(at.internal)])
    await signIn(at.api, "alice")
  }, 180_000)
})
