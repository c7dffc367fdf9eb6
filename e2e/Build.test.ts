import { assert, beforeAll, describe, it } from "vitest"
import { execFile, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { chown, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { Program, root, until } from "@edge-relay/testkit/Program"
import { addresses, edgesOf, folder, newCode, signIn } from "@edge-relay/testkit/RelaySystem"
import { debianPackage } from "../packaging/DebianPackage.ts"
import { manifest } from "../packaging/Manifest.ts"
import { host } from "../packaging/NodeBinary.ts"
import { npmPackage } from "../packaging/NpmPackage.ts"

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
    const page = await until(
      () => fetch(`${at.api}/`),
      ({ status }) => status === 200
    )
    const [, script] = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text()) ?? []
    const { headers, status } = await fetch(at.api + script)
    assert.deepStrictEqual([status, headers.get("content-encoding")], [200, "gzip"])
    const alone = await addresses()
    const all = { ...env, ...alone.env, PUBLIC_URL: alone.api, DATABASE_URL: `sqlite:${home.path}/one.db` }
    await using _server = new Program(`${home.path}/dist/server.mjs`, [], all, home.path)
    await until(
      () => fetch(`${alone.api}/`),
      ({ status }) => status === 200
    )
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

  it("packs the agent for npm: a clean installation runs it by its name, with no package beside it", async () => {
    await using elsewhere = await folder()
    const name = await npmPackage(`${home.path}/dist/edge-relay.mjs`, "", elsewhere.path, elsewhere.path)
    await writeFile(`${elsewhere.path}/package.json`, "{}")
    // This Node, which npm is not: its own is whatever the machine has.
    const env = {
      ...process.env,
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      npm_config_cache: `${elsewhere.path}/cache`
    }
    const options = { cwd: elsewhere.path, env }
    await run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${name}`], options)
    assert.deepStrictEqual(
      (await readdir(`${elsewhere.path}/node_modules`)).filter((one) => !one.startsWith(".")),
      ["edge-relay"]
    )
    const { stdout } = await run("npx", ["--offline", "edge-relay", "--version"], options)
    assert.include(stdout, manifest.version)
  })

  it("makes a Debian package that installs, upgrades, and leaves nothing behind when it is purged", async () => {
    await run("sh", ["-c", "shellcheck packaging/debian/*"], { cwd: root })
    await using elsewhere = await folder()
    const at = `${elsewhere.path}/root`
    const executable = `${home.path}/dist/edge-relay`
    const target = host() ?? "linux-x64"
    const deb = async (version: string) => {
      const made = { executable, target, licences: "", folder: elsewhere.path, scratch: elsewhere.path }
      return `${elsewhere.path}/${await debianPackage({ ...made, version, compression: "none" })}`
    }
    await run("mkdir", ["-p", `${at}/var/lib/dpkg/updates`, `${at}/var/lib/dpkg/info`, `${at}/etc`])
    for (const file of ["var/lib/dpkg/status", "var/lib/dpkg/available", "etc/passwd", "etc/group"]) {
      await writeFile(`${at}/${file}`, "")
    }
    // The empty root has none of what the package depends on.
    const dpkg = (...args: ReadonlyArray<string>) =>
      run("dpkg", [`--root=${at}`, "--force-script-chrootless", "--force-depends", ...args], {
        env: { ...process.env, LC_ALL: "C" }
      })
    const first = await dpkg("--install", await deb("1.0.0"))
    assert.include(first.stdout, "sudo -u edge-relay edge-relay pair CODE")
    const { stdout } = await run(`${at}/usr/bin/edge-relay`, ["--version"])
    assert.include(stdout, manifest.version)
    assert.match(await readFile(`${at}/etc/passwd`, "utf8"), /^edge-relay:/m)
    const state = await stat(`${at}/var/lib/edge-relay`)
    assert.strictEqual(state.mode & 0o777, 0o700)
    assert.include(await readFile(`${at}/etc/passwd`, "utf8"), `:${state.uid}:${state.gid}:`)

    // Enabled from the start, and held back until it is paired; systemd finds no fault in it.
    const wanted = `${at}/etc/systemd/system/multi-user.target.wants`
    assert.deepStrictEqual(await readdir(wanted), ["edge-relay.service"])
    await run("sh", ["-c", `cp /usr/lib/systemd/system/*.target ${at}/usr/lib/systemd/system/`])
    const verify = [`--root=${at}`, "verify", "--man=no", "edge-relay.service"]
    const verified = await run("systemd-analyze", verify)
    assert.notInclude(verified.stdout + verified.stderr, "edge-relay")

    // Somebody who has disabled it has the last word over an upgrade, and its credentials stay.
    await rm(`${wanted}/edge-relay.service`)
    await writeFile(`${at}/var/lib/edge-relay/credentials.json`, "{}")
    const second = await dpkg("--install", await deb("1.0.1"))
    assert.notInclude(second.stdout, "pair")
    assert.deepStrictEqual(await readdir(wanted), [])
    await stat(`${at}/var/lib/edge-relay/credentials.json`)

    await dpkg("--purge", "edge-relay")
    const { stdout: left } = await run("find", [at, "-name", "*edge-relay*"])
    assert.strictEqual(left, "")
  })

  it("pairs a bare machine by the one line that the console shows, and the edge comes online", async () => {
    await using downloads = await folder()
    await using system = await folder()
    await using bare = await folder()
    const name = `edge-relay-${host() ?? "linux-x64"}.gz`
    await run("sh", [
      "-c",
      `gzip -1 <"$1" >"$2"`,
      "sh",
      `${home.path}/dist/edge-relay`,
      join(downloads.path, name)
    ])
    const at = await addresses()
    const env = { ...at.env, DOWNLOADS_DIR: downloads.path }
    await using start = new Program("packages/devkit/src/start.ts", [], env, system.path)
    await start.printed(/Ctrl-C/)
    const alice = await signIn(at.api, "alice")
    const { command } = await newCode(alice, at.api, "bare")

    // Nobody in particular, whose home is all that they may write to.
    const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"]
    const isRoot = process.getuid?.() === 0
    if (isRoot) await chown(bare.path, 65_534, 65_534)
    const [shell = "", ...args] = [...(isRoot ? ["setpriv", ...nobody] : []), "sh", "-c", command]
    const machine = spawn(shell, args, {
      cwd: bare.path,
      env: { HOME: bare.path, PATH: "/usr/bin:/bin" },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own: the shell, and what it became.
      detached: true
    })
    let output = ""
    for (const stream of [machine.stdout, machine.stderr]) stream.on("data", (text) => (output += text))
    try {
      const online = () => edgesOf(alice, at.api)
      await until(online, (all) => all.some((one) => one.name === "bare" && one.online)).catch((error) =>
        assert.fail(`${error}\n${output}`)
      )
      assert.include(output, `install  ${bare.path}/.local/bin/edge-relay`)
      const { stdout } = await run(`${bare.path}/.local/bin/edge-relay`, ["status"], {
        env: { HOME: bare.path }
      })
      assert.include(stdout, "connected")
    } finally {
      process.kill(-(machine.pid ?? 0), "SIGKILL")
    }
  }, 180_000)
})
