import { writeFile } from "node:fs/promises"
import { agent, folder } from "@edge-relay/testkit/RelaySystem"
import { assert, describe, it } from "vitest"
import * as SystemdUnit from "../src/SystemdUnit.ts"

describe("the exit status of edge-relay", () => {
  it("is 4 where the machine is not paired, and 78 where its credentials or its authorities cannot be used", async () => {
    await using state = await folder()
    const unpaired = agent(["run"], state.path)
    assert.strictEqual(await unpaired.exited, 4, unpaired.output)
    assert.include(unpaired.output, "not paired")

    const credentials = {
      cloudUrl: "http://127.0.0.1:1",
      edgeId: "edge_01h455vb4pex5vsknk084sn02q",
      token: "ert_none",
      tunnelUrl: "ws://127.0.0.1:1",
      services: {},
      caFile: `${state.path}/none.pem`
    }
    await writeFile(`${state.path}/credentials.json`, JSON.stringify(credentials))
    const untrusting = agent(["run"], state.path)
    assert.strictEqual(await untrusting.exited, 78, untrusting.output)
    assert.include(untrusting.output, "none.pem")

    await writeFile(`${state.path}/credentials.json`, "{")
    const damaged = agent(["run"], state.path)
    assert.strictEqual(await damaged.exited, 78, damaged.output)
    assert.include(damaged.output, "damaged")
  }, 60_000)

  it("keeps systemd from starting it again where that changes nothing, and nowhere else", () => {
    const unit = SystemdUnit.make({ program: ["edge-relay"], state: "/var/lib/edge-relay", system: true })
    assert.include(unit, "\nRestart=always\n")
    assert.include(unit, "\nRestartPreventExitStatus=3 78\n")
  })

  it.each([
    [["pair", "--url", "ftp://relay"], '--url "ftp://relay": expected http:// or https://'],
    [["pair"], "Missing required flag: --url"],
    [["pair", "--url", "http://a", "--to", "https://a/b"], '--to "https://a/b": expected http://HOST:PORT'],
    [["pair", "--url", "http://a", "--service", "Foo=tcp://a:1"], '--service "Foo=tcp://a:1": '],
    [["pair", "--url", "http://a", "--ca", "/none"], '--ca "/none": path does not exist'],
    [["run", "--colour"], "Unrecognized flag: --colour"]
  ])(
    "is 2 after %j, with a line that says why",
    async (args, line) => {
      await using state = await folder()
      const program = agent(args, state.path)
      assert.strictEqual(await program.exited, 2, program.output)
      const lines = program.output.trim().split("\n")
      assert.include(lines[0], line)
      assert.strictEqual(lines.at(-1), `Help: edge-relay ${args[0]} --help`)
      assert.isAtMost(lines.length, 5)
      assert.notInclude(program.output, "Schema")
    },
    60_000
  )

  it("is listed in --help", async () => {
    await using state = await folder()
    const program = agent(["--help"], state.path)
    assert.strictEqual(await program.exited, 0)
    for (const status of [0, 1, 2, 3, 4, 78]) assert.match(program.output, new RegExp(`^ +${status}: `, "m"))
  }, 60_000)
})
