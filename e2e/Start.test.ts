import { assert, describe, it } from "vitest"
import { once } from "node:events"
import { createHash, randomBytes } from "node:crypto"
import { createServer } from "node:net"
import { request } from "node:http"
import { stat } from "node:fs/promises"
import { WebSocket } from "ws"
import { Origin } from "@edge-relay/testkit/AppOrigin"
import { Program, until } from "@edge-relay/testkit/Program"
import { addresses, agent, edgesOf, folder, pairingCode, signIn } from "@edge-relay/testkit/RelaySystem"

const start = "packages/devkit/src/start.ts"

describe("npm start", () => {
  it("brings up everything, and a second edge can be paired and reached by hand", async () => {
    await using home = await folder()
    await using state = await folder()
    const at = await addresses()
    await using system = new Program(start, [], at.env, home.path)
    await system.printed(/Ctrl-C/)
    assert.include(system.output, at.api)
    assert.include(system.output, "alice")
    assert.include(system.output, ".edge-relay")

    const alice = await signIn(at.api, "alice")
    const list = () => edgesOf(alice, at.api)
    const [simulated] = await until(list, (items) => items.length === 1 && items[0]?.online === true)
    assert.isDefined(simulated)

    // Somebody else's edges do not exist.
    const bob = await signIn(at.api, "bob")
    assert.deepEqual(await edgesOf(bob, at.api), [])
    assert.strictEqual((await bob.json("GET", `${at.api}/api/edges/${simulated.id}`)).status, 404)
    assert.strictEqual((await bob.json("GET", `${at.api}/api/edges/${simulated.id}/http/`)).status, 404)

    // The edge API, through the cloud.
    const devices = await alice.json("GET", `${at.api}/api/edges/${simulated.id}/devices`)
    assert.strictEqual(devices.status, 200)
    const page = await alice.visit(`${at.api}/api/edges/${simulated.id}/http/`)
    assert.strictEqual(page.status, 200)
    assert.match(String(page.headers["content-security-policy"]), /sandbox/)

    // A second edge, by hand.
    await using origin = await Origin.start()
    const code = await pairingCode(alice, at.api, "by hand")
    assert.match(code, /^[A-Z2-9]{4}-[A-Z2-9]{4}$/)
    const wrong = agent(["pair", "BBBB-BBBB", "--url", at.api], state.path)
    assert.strictEqual(await wrong.exited, 1)
    assert.lengthOf(wrong.output.trim().split("\n"), 1)
    const pair = agent(["pair", code, "--url", at.api, "--to", `http://127.0.0.1:${origin.port}`], state.path)
    assert.strictEqual(await pair.exited, 0, pair.output)
    const again = agent(["pair", code, "--url", at.api], state.path)
    assert.strictEqual(await again.exited, 1)

    await using running = agent(["run"], state.path)
    const items = await until(list, (all) => all.length === 2 && all.every((one) => one.online))
    const second = items.find((one) => one.id !== simulated.id)
    assert.isDefined(second)
    const edge = `${at.api}/api/edges/${second.id}/http`

    const echoed = await alice.send("GET", `${edge}/anything?a=%2F..;`)
    const seenByEdge: { path: string; headers: Record<string, string> } = JSON.parse(echoed.text)
    assert.strictEqual(seenByEdge.path, "/anything?a=%2F..;")
    // The provider's cookies are of the same host, here; ours is not among them.
    assert.notInclude(seenByEdge.headers["cookie"] ?? "", "session=v1.")
    assert.match(String(seenByEdge.headers["x-edge-user"]), /^user_/)

    const body = randomBytes(100_000_000)
    const up = await alice.send("POST", `${edge}/hash`, { "sec-fetch-site": "same-origin" }, body)
    assert.deepEqual(JSON.parse(up.text), {
      size: body.length,
      sha256: createHash("sha256").update(body).digest("hex")
    })
    const both = await alice.send("POST", `${edge}/echo`, { "sec-fetch-site": "same-origin" }, body)
    assert.isTrue(both.body.equals(body))

    const socket = new WebSocket(`${edge.replace("http", "ws")}/socket`, {
      headers: { cookie: alice.cookieFor(at.api), origin: at.api }
    })
    await once(socket, "open")
    socket.send("hello")
    const [message] = await once(socket, "message")
    assert.strictEqual(String(message), "hello")
    socket.close(4_321, "done")
    const [closed] = await once(socket, "close")
    assert.strictEqual(closed, 4_321)

    const events = request(`${edge}/events`, { headers: { cookie: alice.cookieFor(at.api) } }).end()
    const [stream] = await once(events, "response")
    let seen = ""
    for await (const chunk of stream) {
      seen += chunk
      if (seen.includes("tick 3")) break
    }
    events.destroy()

    assert.strictEqual(await running.stop("SIGINT"), 0, running.output)
    await until(list, (all) => all.find((one) => one.id === second.id)?.online === false)
    const offline = await alice.json("GET", `${edge}/anything`)
    assert.strictEqual(offline.status, 503)
    assert.propertyVal(offline.json, "code", "edge_offline")

    assert.isTrue((await stat(`${home.path}/.edge-relay`)).isDirectory())
    assert.strictEqual(await system.stop("SIGINT"), 0, system.output)
  }, 240_000)

  it("keeps its edge and its sign-ins over a restart", async () => {
    await using home = await folder()
    const at = await addresses()
    const first = new Program(start, [], at.env, home.path)
    await first.printed(/Ctrl-C/, 20)
    const alice = await signIn(at.api, "alice")
    const list = () => edgesOf(alice, at.api)
    const [before] = await until(list, (items) => items.length === 1 && items[0]?.online === true)
    assert.strictEqual(await first.stop("SIGINT"), 0, first.output)
    const { mode } = await stat(`${home.path}/.edge-relay/provider.json`)
    assert.strictEqual(mode & 0o777, 0o600)
    await using second = new Program(start, [], at.env, home.path)
    await second.printed(/Ctrl-C/, 20)
    const [after] = await until(list, (items) => items.length === 1 && items[0]?.online === true)
    assert.isDefined(before)
    assert.strictEqual(after?.id, before.id)
    assert.strictEqual(await second.stop("SIGTERM"), 0, second.output)
  }, 180_000)

  it.each(["API_PORT", "TUNNEL_PORT", "INTERNAL_PORT", "PROVIDER_PORT", "API_INTERNAL_PORT"])(
    "says in one line that the port of %s is taken, and exits 78",
    async (variable) => {
      await using home = await folder()
      const at = await addresses()
      const port = Number(at.env[variable])
      const squatter = createServer().listen(port, "127.0.0.1")
      await once(squatter, "listening")
      const system = new Program(start, [], at.env, home.path)
      assert.strictEqual(await system.exited, 78, system.output)
      assert.lengthOf(system.output.trim().split("\n"), 1, system.output)
      assert.include(system.output, String(port))
      assert.include(system.output, variable)
      squatter.close()
    },
    120_000
  )
})
