import { assert, beforeAll, describe, it } from "vitest"
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { readFile, stat, writeFile } from "node:fs/promises"
import { promisify } from "node:util"
import { Program, root, until } from "@edge-relay/testkit/Program"
import { addresses, folder } from "@edge-relay/testkit/RelaySystem"

const run = promisify(execFile)

describe("npm run build", () => {
  let home: Awaited<ReturnType<typeof folder>>
  beforeAll(async () => {
    home = await folder()
    const built = new Program("build.ts", [`${home.path}/dist`, "--target", "host"], {}, root)
    assert.strictEqual(await built.exited, 0, built.output)
    return () => home[Symbol.asyncDispose]()
  }, 180_000)

  it("makes programs of one file each, which run away from the checkout", async () => {
    const at = await addresses()
    const env = {
      ...at.env,
      PUBLIC_URL: at.api,
      TUNNEL_URL: at.tunnel,
      PROXY_INTERNAL_URL: at.internal,
      INTERNAL_KEY: randomBytes(32).toString("base64"),
      SESSION_KEYS: randomBytes(32).toString("base64"),
      OIDC_ISSUER: at.provider,
      OIDC_CLIENT_ID: "edge-relay",
      DATABASE_URL: `sqlite:${home.path}/relay.db`
    }
    await using _api = new Program(`${home.path}/dist/api.mjs`, [], env, home.path)
    await using proxy = new Program(`${home.path}/dist/proxy.mjs`, [], env, home.path)
    await proxy.printed(/the proxy is up/)
    const ready = await until(
      () => fetch(`${at.internal}/readyz`),
      ({ status }) => status === 200
    )
    assert.strictEqual(ready.status, 200)
    const script = await until(
      () => fetch(`${at.api}/app.js`),
      ({ status }) => status === 200
    )
    assert.include(await script.text(), "EventSource")
    await using agent = new Program(`${home.path}/dist/edge-relay.mjs`, ["--help"], {}, home.path)
    assert.strictEqual(await agent.exited, 0, agent.output)
  }, 180_000)

  it("makes the agent one executable that needs nothing beside it, least of all Node", async () => {
    await using elsewhere = await folder()
    const edgeRelay = `${elsewhere.path}/edge-relay`
    await run("cp", [`${home.path}/dist/edge-relay`, edgeRelay])
    const alone = { cwd: elsewhere.path, env: { HOME: elsewhere.path, PATH: "/nowhere" } }
    const { stdout: version } = await run(edgeRelay, ["--version"], alone)
    const { version: expected } = JSON.parse(
      await readFile(`${root}packages/edge-agent/package.json`, "utf8")
    )
    assert.include(version, expected)

    // What systemd is to start is the executable itself.
    await writeFile(`${elsewhere.path}/credentials.json`, "{}")
    const install = ["service", "install", "--dry-run", "--state", elsewhere.path]
    const { stdout: unit } = await run(edgeRelay, install, alone)
    assert.include(unit, `ExecStart="${edgeRelay}" "run"`)
  })

  it("keeps the agent small: no symbols, no map, no native module, no second copy of a package", async () => {
    const { size } = await stat(`${home.path}/dist/edge-relay`)
    // Node itself is 116 MB of it.
    assert.isBelow(size, 125_000_000)
    const bundle = await readFile(`${home.path}/dist/edge-relay.mjs`, "utf8")
    assert.isBelow(bundle.length, 700_000)
    assert.notInclude(bundle, "sourceMappingURL")
    // V8 keeps a source at two bytes a character that has one outside Latin-1.
    assert.strictEqual(Buffer.from(bundle, "latin1").toString("latin1"), bundle)
    assert.notInclude(bundle, "node-gyp-build")
  })
})
