import { createServer } from "node:http"
import { readdir } from "node:fs/promises"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Program, until } from "@edge-relay/testkit/Program"
import { addresses, agent, edgesOf, folder, pairingCode, signIn } from "@edge-relay/testkit/RelaySystem"
import type { Browser } from "@edge-relay/testkit/SignedInBrowser"

describe("the agent's commands, against the whole system", () => {
  const stack = new AsyncDisposableStack()
  let api = ""
  let alice: Browser
  /** Two local servers, which say which they are. */
  let target = ""
  let other = ""

  beforeAll(async () => {
    const home = stack.use(await folder())
    const at = await addresses()
    api = at.api
    const system = stack.use(new Program("packages/devkit/src/start.ts", [], at.env, home.path))
    const listen = async (name: string) => {
      const local = createServer((_request, response) => response.end(JSON.stringify({ name })))
      await new Promise<void>((resolve) => local.listen(0, "127.0.0.1", resolve))
      stack.defer(() => {
        local.close()
        local.closeAllConnections()
      })
      const address = local.address()
      return `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
    }
    target = await listen("target")
    other = await listen("other")
    await system.printed(/Ctrl-C/)
    alice = await signIn(api, "alice")
  }, 120_000)
  afterAll(() => stack.disposeAsync(), 60_000)

  /** What a command prints, and how it ends. */
  const run = async (state: string, ...args: ReadonlyArray<string>) => {
    const program = agent(args, state)
    const status = await program.exited
    return { status, output: program.output }
  }
  const json = async (state: string, ...args: ReadonlyArray<string>) => {
    const { output, status } = await run(state, ...args, "--json")
    assert.strictEqual(status, 0, output)
    return JSON.parse(output)
  }
  const pair = async (state: string, name: string): Promise<string> => {
    const code = await pairingCode(alice, api, name)
    const { edgeId } = await json(state, "pair", code, "--url", api, "--to", `http://${target}`)
    return edgeId
  }
  const online = (id: string) =>
    until(
      () => edgesOf(alice, api),
      (all) => all.some((edge) => edge.id === id && edge.online)
    )

  it("service add, list and remove change what a running agent offers, and unpair ends it at the cloud", async () => {
    await using state = await folder()
    const edgeId = await pair(state.path, "services")
    await using running = agent(["run", "--grace", "1"], state.path)
    await online(edgeId)

    const added = await json(state.path, "service", "add", `echo=tcp://${target}`)
    assert.deepEqual(added, { services: { http: `http://${target}`, echo: `tcp://${target}` } })
    assert.deepEqual(await json(state.path, "service", "list"), added)
    assert.match((await run(state.path, "service", "list")).output, /^ {2}echo +tcp:/m)
    assert.deepEqual(Object.keys((await json(state.path, "service", "remove", "echo")).services), ["http"])
    const unknown = await run(state.path, "service", "remove", "echo")
    assert.strictEqual(unknown.status, 1)
    assert.include(unknown.output, 'no service is called "echo": there is http')
    const reached = (name: string) =>
      until(
        () => alice.json("GET", `${api}/api/edges/${edgeId}/http/`),
        ({ json }) => JSON.stringify(json) === JSON.stringify({ name })
      )
    await reached("target")
    await json(state.path, "service", "add", `http=http://${other}`)
    await reached("other")
    // The tunnel stood through all of it.
    assert.strictEqual(running.output.match(/connected to/g)?.length, 1)

    const unpaired = await json(state.path, "unpair")
    assert.deepInclude(unpaired, { edgeId, removedAtCloud: true })
    assert.include([3, 4], await running.exited)
    assert.isFalse((await edgesOf(alice, api)).some(({ id }) => id === edgeId))
    const { json: audit } = await alice.json("GET", `${api}/api/audit?action=edge.removed`)
    assert.include(JSON.stringify(audit), "unpaired by the machine")
    assert.deepEqual(await readdir(state.path), [])
    for (const command of [["unpair"], ["status"], ["service", "list"], ["doctor"]]) {
      assert.strictEqual((await run(state.path, ...command)).status, 4)
    }
  }, 180_000)

  it("doctor finds a machine well without disturbing its tunnel, and says what to do when it is not", async () => {
    await using state = await folder()
    const edgeId = await pair(state.path, "doctor")
    await using running = agent(["run"], state.path)
    await online(edgeId)
    const well = await json(state.path, "doctor")
    assert.isTrue(well.isWell)
    const verdicts = Object.fromEntries(
      well.checks.map(({ check, verdict }: { check: string; verdict: string }) => [check, verdict])
    )
    assert.deepEqual(verdicts, {
      "name localhost": "ok",
      proxy: "ok",
      TLS: "warning",
      cloud: "ok",
      clock: "ok",
      WebSocket: "ok",
      token: "ok",
      agent: "ok",
      "service http": "ok"
    })
    assert.strictEqual(running.output.match(/connected to/g)?.length, 1, running.output)

    await json(state.path, "service", "add", "gone=tcp://127.0.0.1:1")
    assert.strictEqual((await alice.json("DELETE", `${api}/api/edges/${edgeId}`)).status, 204)
    assert.strictEqual(await running.exited, 3)
    const ill = await run(state.path, "doctor")
    assert.strictEqual(ill.status, 1)
    assert.match(ill.output, /^failed +token: the cloud knows it no longer\n +→ pair this machine anew/m)
    assert.match(ill.output, /^warning +agent: not running/m)
    assert.match(
      ill.output,
      /^failed +service gone: tcp:\/\/127\.0\.0\.1:1 takes no connection \(ECONNREFUSED\)/m
    )
    assert.include(ill.output, "not well: token, service gone")

    // The cloud has forgotten it by itself: that is no error.
    const { status } = await run(state.path, "unpair")
    assert.strictEqual(status, 0)
  }, 180_000)
})
