import { assert, describe, it } from "vitest"
import { writeFile } from "node:fs/promises"
import { Schema } from "effect"
import { Program, until } from "@edge-relay/testkit/Program"
import { addresses, edgesOf, folder, signIn } from "@edge-relay/testkit/RelaySystem"

const decodeToken = Schema.decodeUnknownSync(Schema.Struct({ token: Schema.String }))

describe("npm run conformance", () => {
  it("finds that an edge conforms through the cloud, by a token, and stays out without", async () => {
    await using home = await folder()
    const at = await addresses()
    await using system = new Program("packages/devkit/src/start.ts", [], at.env, home.path)
    await system.printed(/Ctrl-C/, 120)
    const alice = await signIn(at.api, "alice")
    const [edge] = await until(
      () => edgesOf(alice, at.api),
      (items) => items[0]?.online === true
    )
    const made = await alice.json("POST", `${at.api}/api/tokens`, {
      name: "conformance",
      scopes: ["gateway"],
      expiresInSeconds: 3600
    })
    const { token } = decodeToken(made.json)
    const file = `${home.path}/token`
    await writeFile(file, `${token}\n`, { mode: 0o600 })

    const check = (...args: ReadonlyArray<string>) =>
      new Program("packages/conformance/src/main.ts", args, {}, home.path)
    const mount = `${at.api}/api/edges/${edge?.id}/http`
    await using through = check("--url", mount, "--token-file", file)
    assert.strictEqual(await through.exited, 0, through.output)
    assert.match(through.output, /\d{2,} checks: \d{2,} passed, 0 differ/)
    assert.notInclude(through.output, token)

    await using without = check("--url", mount, "--group", "edgeSystem")
    assert.strictEqual(await without.exited, 1, without.output)
    await using byFlag = check("--url", mount, "--group", "edgeSystem", "--token", token)
    assert.strictEqual(await byFlag.exited, 0, byFlag.output)
  }, 240_000)
})
