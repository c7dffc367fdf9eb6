import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdtemp, rename, rm } from "node:fs/promises"
import { createServer, request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { ApiProcess, freePort, until } from "@edge-relay/testkit/api/ApiProcess"

const redisServer = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"].find((path) => existsSync(path))

describe("npm run api", () => {
  let folder = ""
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "edge-relay-api-"))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const environment = async () => {
    const [port, internalPort, nobody] = await Promise.all([freePort(), freePort(), freePort()])
    return {
      env: {
        PUBLIC_URL: `http://localhost:${port}`,
        API_PORT: String(port),
        API_INTERNAL_PORT: String(internalPort),
        INTERNAL_KEY: randomBytes(32).toString("base64"),
        SESSION_KEYS: randomBytes(32).toString("base64"),
        OIDC_ISSUER: `http://localhost:${nobody}`,
        OIDC_CLIENT_ID: "edge-relay",
        PROXY_INTERNAL_URL: `http://127.0.0.1:${nobody}`,
        DATABASE_URL: `sqlite:${join(folder, `${port}.db`)}`,
        DRAIN_SECONDS: "600"
      },
      url: `http://127.0.0.1:${port}`,
      internalUrl: `http://127.0.0.1:${internalPort}`
    }
  }

  const statusOf = (url: string) => fetch(url).then(({ status }) => status)

  it.each([
    ["API_PORT", "url"],
    ["API_INTERNAL_PORT", "internalUrl"]
  ] as const)("says which port is taken, and that %s changes it", async (variable, which) => {
    const { env, ...urls } = await environment()
    const other = createServer()
    const port = Number(new URL(urls[which]).port)
    await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve))
    await using api = new ApiProcess({ ...env, LOG_LEVEL: "error" }, folder)
    assert.strictEqual(await api.exited, 78, api.output)
    assert.strictEqual(
      api.output.trim(),
      `port ${port} on 127.0.0.1 is taken: set ${variable} to another one`
    )
    other.close()
  })

  it("starts without its provider and its proxy, and says what is missing", async () => {
    const { env, internalUrl, url } = await environment()
    await using api = new ApiProcess(env, folder)
    await until(
      () => statusOf(`${url}/healthz`),
      (status) => status === 200
    )
    for (const base of [url, internalUrl]) {
      const answer = await fetch(`${base}/readyz`)
      assert.strictEqual(answer.status, 503)
      const { missing, status } = await answer.json()
      assert.strictEqual(status, "not_ready")
      assert.deepStrictEqual(
        missing.map(({ name }: { readonly name: string }) => name),
        ["identity provider", "proxy"]
      )
    }
    const metrics = await (await fetch(`${internalUrl}/metrics`)).text()
    assert.match(metrics, /^api_requests_total\{status="2xx"\} \d+$/m)
    assert.match(metrics, /^api_proxies_missing 1$/m)
    assert.strictEqual((await fetch(`${internalUrl}/nothing`)).status, 404)
    assert.strictEqual(await api.stop("SIGTERM"), 0, api.output)
  })

  it("tells, at /readyz and in a metric, that its database file has been moved away, and that it is back", async () => {
    const { env, internalUrl, url } = await environment()
    await using api = new ApiProcess(env, folder)
    const database = async () => {
      const { missing } = await (await fetch(`${url}/readyz`)).json()
      const found = missing.find(({ name }: { readonly name: string }) => name === "database")
      return found === undefined ? "ready" : String(found.reason)
    }
    const gauge = async () => {
      const metrics = await (await fetch(`${internalUrl}/metrics`)).text()
      return /^database_ready (\d)$/m.exec(metrics)?.[1]
    }
    await until(database, (reason) => reason === "ready")
    assert.strictEqual(await gauge(), "1")
    const file = env.DATABASE_URL.slice("sqlite:".length)
    await rename(file, `${file}.away`)
    await until(database, (reason) => reason === "does not answer")
    assert.strictEqual(await gauge(), "0")
    assert.isFalse(existsSync(file))
    await rename(`${file}.away`, file)
    await until(database, (reason) => reason === "ready")
    assert.strictEqual(await gauge(), "1")
    assert.include(api.output, "the database file has been moved or deleted")
  })

  it("lets what runs finish when it is told to stop, takes nothing new, and says so meanwhile", async () => {
    const { env, internalUrl, url } = await environment()
    await using api = new ApiProcess(env, folder)
    await until(
      () => statusOf(`${url}/healthz`),
      (status) => status === 200
    )

    // A request whose body is still on its way.
    const body = JSON.stringify({ hostname: "box" })
    const answered = Promise.withResolvers<number>()
    const slow = request(`${url}/api/pairing/requests`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-length": body.length }
    })
    slow.on("response", (response) => answered.resolve(response.statusCode ?? 0))
    slow.on("error", answered.reject)
    slow.write(body.slice(0, 5))
    // It has arrived once the server counts a connection that it does not close: ask on another until then.
    await until(
      () => statusOf(`${url}/healthz`),
      (status) => status === 200
    )

    const exited = api.stop("SIGTERM")
    await until(
      () => statusOf(`${internalUrl}/readyz`),
      (status) => status === 503
    )
    const readiness = await (await fetch(`${internalUrl}/readyz`)).text()
    assert.include(readiness, "is shutting down")
    await until(
      () => statusOf(`${url}/healthz`).catch(() => 0),
      (status) => status === 0
    )
    slow.end(body.slice(5))
    assert.strictEqual(await answered.promise, 201)
    // Not when time is up, which this test would not outlast, but when the last one has gone.
    assert.strictEqual(await exited, 0, api.output)
  })

  it("writes a line for each request, with its id, and without what its query holds", async () => {
    const { env, url } = await environment()
    await using api = new ApiProcess(env, folder)
    await until(
      () => statusOf(`${url}/healthz`),
      (status) => status === 200
    )
    await fetch(`${url}/api/edges?q=a-secret`, { headers: { "x-request-id": "my-request" } })
    await api.stop("SIGTERM")
    const line = api.output.split("\n").find((one) => one.includes("my-request")) ?? ""
    const { annotations, level, message } = JSON.parse(line)
    assert.deepStrictEqual([message, level], ["request", "INFO"])
    assert.deepInclude(annotations, {
      requestId: "my-request",
      method: "GET",
      path: "/api/edges",
      status: 401,
      address: "127.0.0.1"
    })
    assert.notInclude(api.output, "a-secret")
    for (const secret of [env.INTERNAL_KEY, env.SESSION_KEYS]) assert.notInclude(api.output, secret)
  })

  it.skipIf(redisServer === undefined)(
    "starts without its Redis, lets nobody guess codes uncounted, and heals",
    async () => {
      const { env, url } = await environment()
      const redisPort = await freePort()
      await using api = new ApiProcess({ ...env, REDIS_URL: `redis://127.0.0.1:${redisPort}` }, folder)
      const missing = async () => {
        const { missing } = await (await fetch(`${url}/readyz`)).json()
        return missing.map(
          ({ name, reason }: { readonly name: string; readonly reason: string }) => `${name} ${reason}`
        )
      }
      const exchange = async () => {
        const answer = await fetch(`${url}/api/pairing/exchange`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ code: "BCDF-2345" })
        })
        return { status: answer.status, retryAfter: answer.headers.get("retry-after") }
      }
      const away = "session directory does not answer"
      await until(missing, (names) => names.includes(away))
      assert.deepStrictEqual(await exchange(), { status: 503, retryAfter: "5" })

      const redis = spawn(redisServer ?? "", [
        "--port",
        String(redisPort),
        "--save",
        "",
        "--appendonly",
        "no"
      ])
      try {
        await until(missing, (names) => names.includes("proxy none has announced itself"))
        assert.notInclude(await missing(), away)
        for (let tries = 0; tries < 10; tries++) assert.strictEqual((await exchange()).status, 400)
        assert.strictEqual((await exchange()).status, 429)
      } finally {
        redis.kill("SIGKILL")
      }
      await until(exchange, ({ status }) => status === 503)
      assert.strictEqual(await api.stop("SIGTERM"), 0, api.output)
    },
    240_000
  )
})
