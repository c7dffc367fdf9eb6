import { assert, beforeAll, describe, it } from "vitest"
import { execFile, execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { symlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import * as InstallScript from "../../src/downloads/InstallScript.ts"

/** In place of the agent: it notes how it was called. A machine that is not paired says so by its exit status. */
const program = gzipSync(`#!/bin/sh
echo "edge-relay $*" >>"$HOME/called"
[ "$1" != status ] || [ -e "$HOME/paired" ]
`)
const sha256 = createHash("sha256").update(program).digest("hex")
const offered = ["linux-x64", "linux-arm64"].map((target) => ({
  name: `edge-relay-${target}.gz`,
  size: program.length,
  sha256
}))

/** A machine with what the script is promised, and somebody's home folder. It is what its commands say it is. */
const machine = (commands: Readonly<Record<string, string>> = {}) => {
  const home = mkdtempSync(join(tmpdir(), "edge-relay-install-"))
  const bin = join(home, "bin")
  mkdirSync(bin)
  const own = { id: "echo 1000", uname: 'case "$1" in -s) echo Linux ;; *) echo x86_64 ;; esac', ...commands }
  for (const tool of [
    "sh",
    "curl",
    "mktemp",
    "gzip",
    "chmod",
    "mv",
    "rm",
    "mkdir",
    "cut",
    "sed",
    "awk",
    "sha256sum",
    "cat"
  ]) {
    if (tool in own) continue
    const [found = ""] = execFileSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).split("\n")
    symlinkSync(found, join(bin, tool))
  }
  for (const [name, script] of Object.entries(own)) {
    if (script === "") continue
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const called = () =>
    existsSync(join(home, "called")) ? readFileSync(join(home, "called"), "utf8").trim().split("\n") : []
  return { home, bin, called, [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }) }
}

describe("install.sh", () => {
  let origin = ""
  beforeAll(async () => {
    const server = createServer((request, response) => {
      const isThere = offered.some(({ name }) => request.url === `/downloads/${name}`)
      response.writeHead(isThere ? 200 : 404).end(isThere ? program : "")
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
    // A TCP server's address is an object.
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return () => server.close()
  })

  const install = (on: ReturnType<typeof machine>, args: ReadonlyArray<string>, files = offered) =>
    new Promise<{ readonly status: number; readonly output: string }>((resolve) => {
      const child = execFile(
        "/bin/sh",
        ["-s", "--", ...args],
        { env: { HOME: on.home, PATH: on.bin }, cwd: on.home },
        (error, stdout, stderr) =>
          resolve({ status: error === null ? 0 : Number(error.code), output: stdout + stderr })
      )
      child.stdin?.end(InstallScript.render(origin, files))
    })

  it("has nothing that shellcheck would have otherwise", () => {
    const script = InstallScript.render("https://relay.example.com", offered)
    assert.notInclude(script, "@ORIGIN@")
    assert.notInclude(script, "@FILES@")
    const found = execFileSync("shellcheck", ["--shell=sh", "-"], { input: script, encoding: "utf8" })
    assert.strictEqual(found, "")
  })

  it("says what it will do, and installs, pairs and runs without root", async () => {
    using on = machine()
    const { output, status } = await install(on, ["BCDF-2345", "--to", "http://127.0.0.1:9000"])
    assert.strictEqual(status, 0, output)
    const at = join(on.home, ".local/bin/edge-relay")
    assert.include(output, `fetch    ${origin}/downloads/edge-relay-linux-x64.gz`)
    assert.include(output, `install  ${at}`)
    assert.isBelow(
      output.indexOf("run      it until you press Ctrl-C"),
      output.indexOf("is not in your PATH")
    )
    assert.deepStrictEqual(on.called(), [
      `edge-relay pair BCDF-2345 --url ${origin} --to http://127.0.0.1:9000`,
      "edge-relay run"
    ])
    assert.deepStrictEqual(readdirSync(join(on.home, ".local/bin")), ["edge-relay"])
  })

  it("runs it as a service of the person's where systemd runs, and says what it takes to stay", async () => {
    using on = machine({
      systemctl: 'echo "systemctl $*" >>"$HOME/called"',
      loginctl: "exit 1"
    })
    const { output, status } = await install(on, ["BCDF-2345", "--state", "/srv/edge"])
    assert.strictEqual(status, 0, output)
    assert.include(output, "sudo loginctl enable-linger")
    assert.deepStrictEqual(
      on.called().filter((line) => !line.includes("show-environment")),
      [
        `edge-relay pair BCDF-2345 --url ${origin} --state /srv/edge`,
        "edge-relay service install --state /srv/edge",
        "systemctl --user daemon-reload",
        "systemctl --user enable edge-relay.service",
        "systemctl --user restart edge-relay.service"
      ]
    )
  })

  it("brings a paired machine the new program, and leaves its pairing alone", async () => {
    using on = machine()
    writeFileSync(join(on.home, "paired"), "")
    const { output, status } = await install(on, ["--no-service", "--dir", "here"])
    assert.strictEqual(status, 0, output)
    assert.deepStrictEqual(on.called(), ["edge-relay status"])
    assert.isTrue(existsSync(join(on.home, "here/edge-relay")))
  })

  it("installs nothing whose hash is another one", async () => {
    using on = machine()
    const files = offered.map((file) => ({ ...file, sha256: "0".repeat(64) }))
    const { output, status } = await install(on, ["BCDF-2345"], files)
    assert.strictEqual(status, 1)
    assert.include(output, `SHA-256 ${sha256}`)
    assert.deepStrictEqual(readdirSync(join(on.home, ".local/bin")), [])
    assert.deepStrictEqual(on.called(), [])
  })

  it.each([
    ["a machine that no agent is for", { uname: "echo riscv64" }, "there is no agent for riscv64"],
    [
      "a machine whose agent is not offered",
      { uname: '[ "$1" = -s ] && echo Darwin || echo arm64' },
      "has no edge-relay-darwin-arm64.gz"
    ],
    ["a machine that cannot fetch", { curl: "" }, "neither curl nor wget"],
    ["a machine that cannot check", { sha256sum: "" }, "cannot be checked"]
  ])("changes nothing on %s, and says why", async (_name, commands, why) => {
    using on = machine(commands)
    const { output, status } = await install(on, ["BCDF-2345"])
    assert.strictEqual(status, 1)
    assert.include(output, why)
    assert.isFalse(existsSync(join(on.home, ".local/bin/edge-relay")))
    assert.deepStrictEqual(on.called(), [])
  })

  it("fetches by wget where there is no curl", async () => {
    const [curl = ""] = execFileSync("sh", ["-c", "command -v curl"], { encoding: "utf8" }).split("\n")
    // As it is called: -qO FILE URL.
    using on = machine({ curl: "", wget: `exec ${curl} -fsSo "$2" "$3"` })
    const { output, status } = await install(on, ["BCDF-2345"])
    assert.strictEqual(status, 0, output)
    assert.strictEqual(on.called().at(-1), "edge-relay run")
  })

  it("takes everything away again but the credentials", async () => {
    using on = machine({ systemctl: 'echo "systemctl $*" >>"$HOME/called"' })
    await install(on, ["BCDF-2345"])
    const unit = join(on.home, ".config/systemd/user/edge-relay.service")
    mkdirSync(join(on.home, ".config/systemd/user"), { recursive: true })
    writeFileSync(unit, "")
    writeFileSync(join(on.home, ".config/credentials.json"), "")
    const { output, status } = await install(on, ["--uninstall"])
    assert.strictEqual(status, 0, output)
    assert.include(on.called(), "systemctl --user disable --now edge-relay.service")
    assert.isFalse(existsSync(unit))
    assert.isFalse(existsSync(join(on.home, ".local/bin/edge-relay")))
    assert.isTrue(existsSync(join(on.home, ".config/credentials.json")))
  })

  it("runs nothing of a script that has not arrived whole", async () => {
    using on = machine()
    const script = InstallScript.render(origin, offered)
    for (const part of [0.2, 0.5, 0.9, 0.99]) {
      const cut = script.slice(0, Math.floor(script.lastIndexOf('main "$@"') * part))
      const ran = await new Promise<string>((resolve) => {
        const child = execFile("/bin/sh", ["-s"], { env: { HOME: on.home, PATH: on.bin } }, (_e, out) =>
          resolve(out)
        )
        child.stdin?.end(cut)
      })
      assert.strictEqual(ran, "", `${part}`)
    }
    assert.deepStrictEqual(on.called(), [])
  })
})
