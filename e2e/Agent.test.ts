import { assert, describe, it } from "vitest"
import { readdir, readFile, stat } from "node:fs/promises"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { Program, root, until } from "@edge-relay/testkit/Program"
import { addresses, agent, edgesOf, folder, signIn } from "@edge-relay/testkit/RelaySystem"

const run = promisify(execFile)

describe("the agent, as a person uses it", () => {
  it("pairs by a request that is approved in the console, runs, says how it is, and stops when it is removed", async () => {
    await using home = await folder()
    await using state = await folder()
    const at = await addresses()
    await using system = new Program("packages/devkit/src/start.ts", [], at.env, home.path)
    await system.printed(/Ctrl-C/, 20)
    const alice = await signIn(at.api, "alice")

    const nothing = agent(["status"], state.path)
    assert.strictEqual(await nothing.exited, 4)
    assert.include(nothing.output, "not paired")

    await using local = new Program(
      "packages/devkit/src/simulated-edge/main.ts",
      ["--port", "0"],
      {},
      state.path
    )
    const [, url = ""] = await local.printed(/(http:\/\/127\.0\.0\.1:\d+)/)
    const conformance = new Program("packages/conformance/src/main.ts", ["--url", url], {}, state.path)
    assert.strictEqual(await conformance.exited, 0, conformance.output)

    const pair = agent(["pair", "--url", at.api, "--to", url, "--name", "asked"], state.path)
    const [, userCode = ""] = await pair.printed(/approve the code ([A-Z2-9]{4}-[A-Z2-9]{4})/)
    const request = `${at.api}/api/pairing/requests/${userCode}`
    assert.strictEqual((await alice.json("GET", request)).status, 200)
    assert.strictEqual((await alice.json("POST", `${request}/approve`)).status, 204)
    assert.strictEqual(await pair.exited, 0, pair.output)

    const files = await readdir(state.path)
    assert.include(files, "credentials.json")
    assert.strictEqual((await stat(`${state.path}/credentials.json`)).mode & 0o777, 0o600)
    const { token }: { token: string } = JSON.parse(await readFile(`${state.path}/credentials.json`, "utf8"))
    assert.match(token, /^ert_/)

    await using running = agent(["run"], state.path)
    const edges = await until(
      () => edgesOf(alice, at.api),
      (all) => all.some((one) => one.name === "asked" && one.online)
    )
    const edge = edges.find((one) => one.name === "asked")
    assert.isDefined(edge)
    const status = agent(["status"], state.path)
    assert.strictEqual(await status.exited, 0)
    assert.include(status.output, "connected")
    assert.include(status.output, edge.id)
    const second = agent(["run"], state.path)
    assert.strictEqual(await second.exited, 1)
    assert.include(second.output, "running already")

    // The token is in no log, of nobody.
    assert.notInclude(running.output + status.output + pair.output + system.output, token)

    assert.strictEqual((await alice.json("DELETE", `${at.api}/api/edges/${edge.id}`)).status, 204)
    assert.strictEqual(await running.exited, 3, running.output)
    assert.include(running.output, "revoked")
  }, 180_000)

  it("denied in the console: one sentence, exit status 1, nothing written", async () => {
    await using home = await folder()
    await using state = await folder()
    const at = await addresses()
    await using system = new Program("packages/devkit/src/start.ts", [], at.env, home.path)
    await system.printed(/Ctrl-C/, 20)
    const alice = await signIn(at.api, "alice")
    const pair = agent(["pair", "--url", at.api], state.path)
    const [, userCode = ""] = await pair.printed(/approve the code ([A-Z2-9]{4}-[A-Z2-9]{4})/)
    await alice.json("POST", `${at.api}/api/pairing/requests/${userCode}/deny`)
    assert.strictEqual(await pair.exited, 1)
    assert.include(pair.output, "denied")
    assert.deepEqual(await readdir(state.path), [])
  }, 180_000)

  it("takes its configuration from a copy of .env.example, in a shell", async () => {
    await using home = await folder()
    // As the README says it. What is required is empty in the example: both servers name it.
    const script = `cp .env.example "${home.path}/.env" && cd "${home.path}" && set -a; . ./.env; set +a; exec "${process.execPath}" "${root}packages/server-api/src/main.ts"`
    assert.include(await readFile(`${root}README.md`, "utf8"), "cp .env.example .env\n")
    assert.include(await readFile(`${root}README.md`, "utf8"), "set -a; . ./.env; set +a\n")
    const failure = await run("sh", ["-c", script], {
      cwd: root,
      env: { PATH: process.env.PATH ?? "" }
    }).then(
      () => undefined,
      (error: { readonly code: number; readonly stderr: string }) => error
    )
    assert.strictEqual(failure?.code, 78)
    for (const variable of ["INTERNAL_KEY", "SESSION_KEYS", "OIDC_ISSUER", "OIDC_CLIENT_ID"]) {
      assert.include(failure?.stderr, variable)
    }
    assert.notInclude(failure?.stderr, "PUBLIC_URL")
  })
})
