import { assert, describe, it } from "vitest"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { promisify } from "node:util"
import { root } from "@edge-relay/testkit/Program"
import { parse } from "@edge-relay/testkit/Promql"

const run = promisify(execFile)
const read = (path: string) => readFileSync(`${root}${path}`, "utf8")
const all = (text: string, pattern: RegExp) => Array.from(text.matchAll(pattern), ([, found = ""]) => found)

/** What `deploy/` has, as far as it can be checked where neither Docker nor systemd runs. */
describe("deploy/", () => {
  const variables = new Set(all(read(".env.example"), /^([A-Z_]+)=/gm))

  it("alarms by metrics that there are, and the manual says of each alarm what to do", () => {
    const alerts = read("deploy/alerts.yaml")
    // Held to what both servers answer by the test of observability.
    const metrics = new Set([...all(read("docs/metrics.md"), /^\| `([a-z_]+)`/gm), "up"])
    const expressions = all(alerts, /^ {8}expr: (.*)$/gm)
    const names = all(alerts, /^ {6}- alert: (\w+)$/gm)
    assert.isAbove(names.length, 8)
    assert.strictEqual(expressions.length, names.length)
    for (const expression of expressions) {
      const asked = parse(expression).metrics.map(({ name }) => name)
      assert.isNotEmpty(asked, expression)
      for (const name of asked) assert.isTrue(metrics.has(name), `${name} of ${expression}`)
    }
    assert.deepStrictEqual(all(read("docs/operations.md"), /^\| `(EdgeRelay\w+)`/gm), names)
  })

  it.each(["api", "proxy"])(
    "has a unit for the %s in which systemd finds no fault and little exposure",
    async (server) => {
      const unit = `${root}deploy/systemd/edge-relay-${server}.service`
      // It fails where Node is not where the unit says, as on a server that it was not written for.
      const said = await run("systemd-analyze", ["verify", "--man=no", unit]).then(
        ({ stderr, stdout }) => stdout + stderr,
        (error: { readonly stdout: string; readonly stderr: string }) => error.stdout + error.stderr
      )
      const faults = said
        .split("\n")
        .filter((line) => line.includes("edge-relay") && !line.includes("/usr/bin/node is not executable"))
      assert.deepStrictEqual(faults, [])
      // In tenths: 2.0 of 10.
      await run("systemd-analyze", ["security", "--offline=true", "--threshold=20", unit])
    }
  )

  it("composes servers of variables that there are", () => {
    const compose = read("deploy/compose.yaml")
    const given = new Set(all(read("deploy/env.example"), /^([A-Z_]+)=/gm))
    assert.deepStrictEqual(
      all(compose, /\$\{([A-Z_]+)/g).filter((name) => !given.has(name)),
      []
    )
    const [servers = ""] = compose.split("  caddy:\n")
    assert.deepStrictEqual(
      all(servers, /^ {2,6}([A-Z_]+):/gm).filter((name) => !variables.has(name)),
      []
    )
    const image = read("deploy/Dockerfile")
    for (const target of all(compose, /target: (\w+)/g)) assert.include(image, ` AS ${target}\n`)
    assert.deepStrictEqual(
      all(image, /\b([A-Z_]*(?:HOST|DIR))=/g).filter((name) => !variables.has(name)),
      []
    )
  })
})
