import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises"
import { folder } from "@edge-relay/testkit/RelaySystem"
import { NodeCrypto, NodeServices } from "@effect/platform-node"
import { Effect, Exit, Layer } from "effect"
import { Command } from "effect/cli"
import { assert, describe, it } from "vitest"
import * as EdgeRelayCommand from "../src/EdgeRelayCommand.ts"
import * as SystemdUnit from "../src/SystemdUnit.ts"

const analyze = "/usr/bin/systemd-analyze"

const unit = (state = "/var/lib/edge-relay", system = true) =>
  SystemdUnit.make({ program: ["/bin/true"], state, system })

describe("the systemd unit", () => {
  it("is for a user of its own, who may write its state and nothing else", () => {
    assert.match(unit(), /\nDynamicUser=yes\nStateDirectory=edge-relay\n/)
    assert.include(unit(), "\nProtectSystem=strict\n")
    assert.include(unit(), "\nProtectHome=yes\n")
    // A folder elsewhere is root's.
    assert.notInclude(unit("/srv/edge relay"), "DynamicUser")
    assert.include(unit("/srv/edge relay"), 'ReadWritePaths="/srv/edge relay"')
    assert.include(unit("/root/state"), "ProtectHome=read-only")
    // What a user's own service manager cannot do keeps the agent from starting.
    assert.notMatch(unit("/home/a/.config/edge-relay", false), /Protect|Private|DynamicUser/)
  })

  it.skipIf(!existsSync(analyze))(
    "is understood by systemd, and exposes 3.0 of 10 at most (systemd-analyze)",
    async () => {
      await using at = await folder()
      const file = `${at.path}/edge-relay.service`
      await writeFile(file, unit())
      const verified = execFileSync(analyze, ["verify", "--man=no", file], {
        encoding: "utf8",
        stdio: "pipe"
      })
      assert.notInclude(verified, "edge-relay")
      // Fails past the threshold.
      execFileSync(analyze, ["security", "--offline=yes", "--threshold=30", file], { stdio: "pipe" })
    },
    60_000
  )
})

describe("edge-relay service", () => {
  it("installs and starts the unit, shows its log, and takes it away", async () => {
    await using home = await folder()
    const state = `${home.path}/state`
    await mkdir(state)
    const credentials = {
      cloudUrl: "http://127.0.0.1:1",
      edgeId: "edge_01h455vb4pex5vsknk084sn02q",
      token: "ert_none",
      tunnelUrl: "ws://127.0.0.1:1",
      services: {}
    }
    // The service manager's own programs, as far as we call them.
    const called = `${home.path}/called`
    for (const name of ["systemctl", "journalctl"]) {
      await writeFile(`${home.path}/${name}`, `#!/bin/sh\necho "${name} $*" >> "${called}"\n`)
      await chmod(`${home.path}/${name}`, 0o755)
    }
    const command = EdgeRelayCommand.make({
      version: "1.2.3",
      environment: { PATH: `${home.path}:/bin:/usr/bin` },
      home: home.path,
      program: ["/usr/bin/edge-relay"],
      isRoot: false,
      isBooted: true
    })
    const run = (...args: ReadonlyArray<string>) =>
      Command.runWith(command, { version: "1.2.3" })(args).pipe(
        Effect.provide(Layer.mergeAll(NodeServices.layer, NodeCrypto.layer)),
        Effect.runPromiseExit
      )
    const file = `${home.path}/.config/systemd/user/edge-relay.service`

    assert.isTrue(Exit.isFailure(await run("service", "install", "--state", state)), "not paired")
    assert.isFalse(existsSync(file))
    await writeFile(`${state}/credentials.json`, JSON.stringify(credentials))
    assert.isTrue(Exit.isSuccess(await run("service", "install", "--state", state, "--no-start")))
    assert.include(await readFile(file, "utf8"), `"/usr/bin/edge-relay" "run" "--state" "${state}"`)
    assert.isFalse(existsSync(called))
    assert.isTrue(Exit.isSuccess(await run("service", "install", "--state", state)))
    assert.isTrue(Exit.isSuccess(await run("service", "logs", "--follow", "-n", "5")))
    assert.isTrue(Exit.isSuccess(await run("service", "uninstall")))
    assert.isFalse(existsSync(file))
    assert.deepEqual((await readFile(called, "utf8")).trim().split("\n"), [
      "systemctl --user daemon-reload",
      "systemctl --user enable edge-relay.service",
      "systemctl --user restart edge-relay.service",
      "journalctl --user-unit edge-relay.service --lines 5 --no-pager --follow",
      "systemctl --user disable --now edge-relay.service",
      "systemctl --user daemon-reload"
    ])
    assert.isTrue(Exit.isSuccess(await run("service", "uninstall")))
  }, 60_000)
})
