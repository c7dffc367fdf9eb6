import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"

/** `npm run provider`, as a process of its own. */
const main = fileURLToPath(new URL("../../src/provider/main.ts", import.meta.url))

const run = (args: ReadonlyArray<string>, env: { readonly [name: string]: string } = {}) => {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const said = { out: "", err: "" }
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.out += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.err += text))
  const done = once(child, "close").then(([code]) => ({ ...said, code: Number(code) }))
  const line = new Promise<string>((resolve) => {
    child.stdout.on("data", () => {
      if (said.out.includes("\n")) resolve(said.out)
    })
    void done.then(({ out }) => resolve(out))
  })
  return { child, done, line }
}

describe("npm run provider", () => {
  it("says in one line where it is, answers there, and stops cleanly at Ctrl-C", async () => {
    const { child, done, line } = run(["--port", "0"], { PUBLIC_URL: "http://localhost:4000" })
    const issuer = /identity provider: (http:\/\/localhost:\d+) /.exec(await line)?.[1] ?? ""
    const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()
    assert.strictEqual(metadata.issuer, issuer)
    child.kill("SIGINT")
    const { code, err, out } = await done
    assert.strictEqual(code, 0)
    assert.strictEqual(err, "")
    assert.strictEqual(out.trim().split("\n").length, 1)
    assert.include(out, "for http://localhost:4000")
  })

  it("stops cleanly at SIGTERM", async () => {
    const { child, done, line } = run(["--port", "0"])
    await line
    child.kill("SIGTERM")
    assert.strictEqual((await done).code, 0)
  })

  it("names the port that is taken and the variable that changes it, in one line, and exits 78", async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const { code, err, out } = await run([], { PROVIDER_PORT: String(port) }).done
    server.close()
    assert.strictEqual(code, 78)
    assert.strictEqual(out, "")
    assert.strictEqual(err, `cannot listen on 127.0.0.1:${port}; another port: --port or PROVIDER_PORT\n`)
  })

  it("names every fault of its configuration at once, and exits 78", async () => {
    const { code, err } = await run([], { PROVIDER_PORT: "http", PUBLIC_URL: "localhost:3721" }).done
    assert.strictEqual(code, 78)
    assert.deepStrictEqual(err.trim().split("\n"), [
      'PROVIDER_PORT: "http" is not a port, such as 3722',
      'PUBLIC_URL: "localhost:3721" is not an origin, such as http://localhost:3721'
    ])
    assert.strictEqual((await run(["--nonsense"]).done).code, 78)
  })

  it("explains itself with --help", async () => {
    const { code, out } = await run(["--help"]).done
    assert.strictEqual(code, 0)
    assert.include(out, "--port PORT")
    assert.include(out, "PUBLIC_URL")
  })
})
