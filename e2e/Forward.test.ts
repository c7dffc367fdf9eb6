import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { execFile, spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { createReadStream, createWriteStream } from "node:fs"
import { mkdir, readFile, stat, writeFile } from "node:fs/promises"
import { connect, createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { pipeline } from "node:stream/promises"
import { promisify } from "node:util"
import * as Postgres from "@edge-relay/testkit/PostgresServer"
import { freePorts, Program, root, until } from "@edge-relay/testkit/Program"
import { addresses, agent, edgesOf, folder, pairingCode, signIn } from "@edge-relay/testkit/RelaySystem"
import type { Browser } from "@edge-relay/testkit/SignedInBrowser"
import * as Ssh from "@edge-relay/testkit/SshServer"

const run = promisify(execFile)

/** What `npm run transfer` does for hours is done here in seconds. */
const megabytes = Number(process.env["TRANSFER_MEGABYTES"] ?? 48)
const idleSeconds = Number(process.env["TRANSFER_IDLE_SECONDS"] ?? 3)

const script = `${root}packages/edge-agent/src/main.ts`

/** The real processes: a cloud, an agent with an `sshd` and a Postgres, and a person's machine with a token. */
const start = async () => {
  const stack = new AsyncDisposableStack()
  const home = stack.use(await folder())
  const keys = stack.use(await folder())
  const state = stack.use(await folder())
  const at = await addresses()
  const system = stack.use(new Program("packages/devkit/src/start.ts", [], at.env, home.path))
  const sshd = stack.use(await Ssh.SshServer.start(keys.path))
  const postgres = stack.adopt(await Postgres.PostgresServer.create(), (server) => server.remove())
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.on("error", () => {}).pipe(socket))
  echo.listen(0, "127.0.0.1")
  stack.defer(() => void echo.close())
  await postgres.start()
  await system.printed(/Ctrl-C/)
  const alice = await signIn(at.api, "alice")
  // Of a TCP port, hence never a path.
  const { port } = echo.address() as AddressInfo
  const targets = { ssh: sshd.port, postgres: postgres.port, echo: port }
  const services = Object.entries(targets).flatMap(([name, port]) => [
    "--service",
    `${name}=tcp://127.0.0.1:${port}`
  ])
  const pair = agent(
    ["pair", await pairingCode(alice, at.api, "Press 4"), "--url", at.api, ...services],
    state.path
  )
  assert.strictEqual(await pair.exited, 0, pair.output)
  stack.use(agent(["run"], state.path))
  const edges = await until(
    () => edgesOf(alice, at.api),
    (all) => all.some(({ name, online }) => name === "Press 4" && online)
  )
  const edgeId = edges.find(({ name }) => name === "Press 4")?.id ?? ""
  return { alice, api: at.api, edgeId, home: home.path, sshd, postgres, stack, system }
}

const newToken = async (alice: Browser, api: string, scopes = ["edges:read", "forward"]) => {
  const body = { name: "forward", scopes, expiresInSeconds: 86_400 }
  const { json, status } = await alice.json("POST", `${api}/api/tokens`, body)
  assert.strictEqual(status, 201)
  return json as { readonly id: string; readonly token: string } // as: just asserted to be made
}

const sha256 = async (file: string) => {
  const hash = createHash("sha256")
  await pipeline(createReadStream(file), hash)
  return hash.digest("hex")
}

const writeRandom = async (file: string) => {
  const parts = function* () {
    for (let part = 0; part < megabytes; part++) yield randomBytes(1024 * 1024)
  }
  await pipeline(parts, createWriteStream(file))
}

// One story: what it ends with takes the edge away.
describe.skipIf(!Ssh.isInstalled || !Postgres.isInstalled)(
  "from a terminal (needs sshd, ssh, scp, rsync, psql)",
  { shuffle: false },
  () => {
    let system: Awaited<ReturnType<typeof start>>
    let token: { readonly id: string; readonly token: string }
    let environment: Record<string, string>

    beforeAll(async () => {
      system = await start()
      token = await newToken(system.alice, system.api)
      environment = { EDGE_RELAY_URL: system.api, EDGE_RELAY_TOKEN: token.token }
    }, 120_000)
    afterAll(() => system?.stack.disposeAsync(), 60_000)

    /** `edge-relay` on the person's machine. */
    const edgeRelay = (...args: ReadonlyArray<string>) => new Program(script, args, environment, system.home)

    const forward = async (...args: ReadonlyArray<string>) => {
      const program = edgeRelay("forward", ...args)
      const [, port = ""] = await program.printed(/127\.0\.0\.1:(\d+) leads to/)
      return { port: Number(port), program, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() }
    }

    /** Writes what `ssh-config` prints to a file, for `ssh -F`. */
    const sshConfig = async () => {
      const program = edgeRelay("ssh-config", "Press 4", "--user", system.sshd.user)
      assert.strictEqual(await program.exited, 0, program.output)
      const file = `${system.home}/ssh_config`
      await writeFile(file, `${program.output}\n  IdentityFile ${system.sshd.identity}\n  BatchMode yes\n`)
      return file
    }

    const env = () => ({ PATH: process.env["PATH"] ?? "", HOME: system.home, ...environment })
    const ssh = async (...args: ReadonlyArray<string>) =>
      run("ssh", ["-F", await sshConfig(), "press-4.edge", ...args], { env: env(), timeout: 60_000 })

    it("ssh runs a command by the lines of ssh-config, and pins the edge's key at first use", async () => {
      const { stdout } = await ssh("echo over the tunnel; cat /proc/sys/kernel/ostype")
      assert.strictEqual(stdout, "over the tunnel\nLinux\n")
      const known = `${system.home}/.config/edge-relay/known_hosts`
      const pinned = await readFile(known, "utf8")
      assert.match(pinned, new RegExp(`^${system.edgeId} ssh-ed25519 `))
      // Another key in its place is another machine's.
      await writeFile(
        known,
        pinned.replace(/AAAA\S+/, (await readFile(`${system.sshd.identity}.pub`, "utf8")).split(" ")[1] ?? "")
      )
      const changed = await ssh("true").then(
        () => undefined,
        (error: { readonly stderr: string }) => error.stderr
      )
      assert.include(changed, "HOST IDENTIFICATION HAS CHANGED")
      await writeFile(known, pinned)
    }, 120_000)

    it("scp and rsync carry a file there and back, with its hash", async () => {
      const folderThere = `${system.home}/there`
      await mkdir(folderThere)
      const file = `${system.home}/file`
      await writeRandom(file)
      const hash = await sha256(file)
      const config = await sshConfig()
      const options = { env: env(), timeout: 3_600_000 }
      await run("scp", ["-F", config, file, `press-4.edge:${folderThere}/scp`], options)
      assert.strictEqual(await sha256(`${folderThere}/scp`), hash)
      const shell = ["-e", `ssh -F ${config}`]
      await run("rsync", [...shell, file, `press-4.edge:${folderThere}/rsync`], options)
      assert.strictEqual(await sha256(`${folderThere}/rsync`), hash)
      await run("rsync", [...shell, `press-4.edge:${folderThere}/rsync`, `${system.home}/back`], options)
      assert.strictEqual(await sha256(`${system.home}/back`), hash)
    }, 3_600_000)

    it("psql asks a Postgres at the edge, by a forwarded port, with many connections at once", async () => {
      await using forwarded = await forward("Press 4", "postgres")
      const psql = (query: string) =>
        run(
          "psql",
          ["-h", "127.0.0.1", "-p", String(forwarded.port), "-U", "edge", "-d", "postgres", "-Atc", query],
          { timeout: 120_000, maxBuffer: 64 * 1024 * 1024 }
        )
      assert.strictEqual((await psql("SELECT 6 * 7")).stdout, "42\n")
      const rows = await psql("SELECT n, md5(n::text) FROM generate_series(1, 100000) AS n")
      assert.strictEqual(rows.stdout.trim().split("\n").length, 100_000)
      const many = await Promise.all(
        Array.from({ length: 20 }, (_, n) => psql(`SELECT ${n} FROM pg_sleep(0.1)`))
      )
      assert.deepStrictEqual(
        many.map(({ stdout }) => Number(stdout)),
        Array.from({ length: 20 }, (_, n) => n)
      )
    }, 180_000)

    it("connect is a pipe that keeps the half-close, by either transport", async () => {
      for (const transport of ["stream", "websocket"]) {
        const child = spawn(
          process.execPath,
          [script, "connect", system.edgeId, "echo", "--transport", transport],
          {
            env: env()
          }
        )
        const parts: Array<Buffer> = []
        child.stdout.on("data", (part: Buffer) => parts.push(part))
        const sent = randomBytes(3 * 1024 * 1024)
        child.stdin.end(sent)
        const [code] = await once(child, "exit")
        assert.strictEqual(code, 0)
        assert.isTrue(Buffer.concat(parts).equals(sent))
      }
    }, 120_000)

    it("a connection that is idle for long is there when it is needed again", async () => {
      for (const transport of ["stream", "websocket"]) {
        await using forwarded = await forward("Press 4", "echo", "--transport", transport)
        const socket = connect(forwarded.port, "127.0.0.1")
        for (let round = 0; round < 2; round++) {
          if (round > 0) await new Promise((resolve) => setTimeout(resolve, idleSeconds * 1000))
          socket.write(`round ${round}`)
          const [data] = await once(socket, "data")
          assert.strictEqual(String(data), `round ${round}`)
        }
        socket.destroy()
      }
    }, 3_600_000)

    it("a listener outlives the cloud's restart, and who connects meanwhile waits for it", async () => {
      const [port = 0] = await freePorts(1)
      // Nobody answers there yet: as while a server is started again.
      const program = new Program(
        script,
        ["forward", system.edgeId, "echo", "--url", `http://127.0.0.1:${port}`],
        environment,
        system.home
      )
      await using forwarded = { program, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() }
      const [, listening = ""] = await forwarded.program.printed(/127\.0\.0\.1:(\d+) leads to/)
      const socket = connect(Number(listening), "127.0.0.1")
      socket.write("early")
      await new Promise((resolve) => setTimeout(resolve, 300))
      const { hostname, port: apiPort } = new URL(system.api)
      const relay = createServer((client) => {
        const onward = connect(Number(apiPort), hostname)
        client.on("error", () => onward.destroy()).pipe(onward)
        onward.on("error", () => client.destroy()).pipe(client)
      })
      relay.listen(port, "127.0.0.1")
      const [data] = await once(socket, "data")
      assert.strictEqual(String(data), "early")
      socket.destroy()
      relay.close()
    }, 120_000)

    it("login signs a terminal in by a browser, keeps that to its person, and refreshes it; logout ends it", async () => {
      const person = { EDGE_RELAY_URL: system.api }
      const login = new Program(script, ["login"], person, system.home)
      const [, userCode = ""] = await login.printed(/approve the code ([A-Z2-9]{4}-[A-Z2-9]{4})/)
      const request = `${system.api}/api/auth/terminal/requests/${userCode}`
      assert.strictEqual((await system.alice.json("POST", `${request}/approve`)).status, 204)
      assert.strictEqual(await login.exited, 0, login.output)
      const file = `${system.home}/.config/edge-relay/login.json`
      assert.strictEqual((await stat(file)).mode & 0o777, 0o600)
      const kept = JSON.parse(await readFile(file, "utf8"))
      // As an hour later: the next use refreshes, and of several at once one does.
      await writeFile(file, JSON.stringify({ ...kept, expiresAt: 0 }))
      const echo = () =>
        promisify(execFile)(
          "sh",
          ["-c", `echo hello | "$0" "$1" connect ${system.edgeId} echo`, process.execPath, script],
          {
            env: { PATH: process.env["PATH"] ?? "", HOME: system.home }
          }
        )
      for (const { stdout } of await Promise.all([echo(), echo(), echo()]))
        assert.strictEqual(stdout, "hello\n")
      const renewed = JSON.parse(await readFile(file, "utf8"))
      assert.notStrictEqual(renewed.refreshToken, kept.refreshToken)
      const shown = await system.alice.json("GET", `${system.api}/api/auth/sessions`)
      assert.include(JSON.stringify(shown.json), '"kind":"terminal"')
      const logout = new Program(script, ["logout"], {}, system.home)
      assert.strictEqual(await logout.exited, 0, logout.output)
      const after = await system.alice.json("GET", `${system.api}/api/auth/sessions`)
      assert.notInclude(JSON.stringify(after.json), '"kind":"terminal"')
      assert.include(
        (await echo().catch((error: { readonly stderr: string }) => error)).stderr,
        "EDGE_RELAY_URL"
      )
      for (const { output } of [login, logout, system.system]) assert.notInclude(output, renewed.accessToken)
    }, 120_000)

    it("what is wrong is said in a sentence, with exit status 1", async () => {
      const said = async (args: ReadonlyArray<string>, env: Record<string, string>) => {
        const program = new Program(script, args, env, system.home)
        assert.strictEqual(await program.exited, 1, program.output)
        return program.output
      }
      const url = { EDGE_RELAY_URL: system.api }
      assert.include(await said(["connect", system.edgeId, "ssh"], {}), "EDGE_RELAY_URL")
      assert.include(await said(["connect", system.edgeId, "ssh"], url), "EDGE_RELAY_TOKEN")
      assert.include(await said(["connect", "nobody", "ssh"], environment), 'no edge is called "nobody"')
      assert.include(await said(["connect", system.edgeId, "nothing"], environment), "local server")
      const wrong = { ...url, EDGE_RELAY_TOKEN: `${token.token}x` }
      assert.include(await said(["connect", "Press 4", "ssh"], wrong), "wrong, has expired or was revoked")
      assert.include(await said(["connect", system.edgeId, "ssh"], wrong), "refused")
    }, 120_000)

    it("ssh is cut within a second when its token is revoked, and when the edge is removed", async () => {
      const config = await sshConfig()
      const session = async (env: Record<string, string>) => {
        const child = spawn("ssh", ["-F", config, "press-4.edge", "echo ready; cat"], { env })
        await once(child.stdout, "data")
        return { ended: once(child, "exit").then(() => performance.now()) }
      }
      const other = await newToken(system.alice, system.api)
      const revoked = await session({ ...env(), EDGE_RELAY_TOKEN: other.token })
      const kept = await session(env())
      const { alice, api } = system
      await alice.json("DELETE", `${api}/api/tokens/${other.id}`)
      const revokedAt = performance.now()
      // What two slow cores add to the second.
      assert.isBelow((await revoked.ended) - revokedAt, 3000)
      await alice.json("DELETE", `${api}/api/edges/${system.edgeId}`)
      const removedAt = performance.now()
      assert.isBelow((await kept.ended) - removedAt, 3000)
      assert.notInclude(system.system.output, token.token)
    }, 120_000)
  }
)
