import { assert, describe, it } from "vitest"
import { randomBytes } from "node:crypto"
import { Program, root, until } from "@edge-relay/testkit/Program"
import { addresses, folder } from "@edge-relay/testkit/RelaySystem"

describe("npm run build", () => {
  it("makes programs of one file each, which run away from the checkout", async () => {
    await using home = await folder()
    const built = new Program("build.ts", [`${home.path}/dist`], {}, root)
    assert.strictEqual(await built.exited, 0, built.output)
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
})
