import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ask, TestGateway } from "@edge-relay/testkit/gateway/TestGateway"

const isInstalled = (() => {
  try {
    execFileSync("nginx", ["-v"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

const freePort = Effect.callback<number>((resume) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() =>
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
    )
  })
})

/** Debian's nginx, with a folder of its own, as an edge's local server. */
const nginx = Effect.gen(function* () {
  const port = yield* freePort
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "edge-relay-nginx-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const file = Buffer.alloc(300_000, "0123456789")
  writeFileSync(join(folder, "file.bin"), file)
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(" ")
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off; ${temporary} keepalive_requests 3; large_client_header_buffers 4 80k;
  server {
    listen 127.0.0.1:${port}; root ${folder}; merge_slashes off;
    location /uri { return 200 $request_uri; }
    location /headers { return 200 "$http_host|$http_x_forwarded_for|$http_cookie|$http_authorization"; }
  }
}`
  )
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("nginx", ["-c", join(folder, "nginx.conf"), "-p", folder, "-e", join(folder, "error.log")])
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )
  yield* Effect.repeat(
    Effect.callback<boolean>((resume) => {
      const socket = net.connect({ port, host: "127.0.0.1" })
      socket.once("connect", () => {
        socket.destroy()
        resume(Effect.succeed(true))
      })
      socket.once("error", () => resume(Effect.delay(Effect.succeed(false), "20 millis")))
    }),
    { until: (listening) => listening }
  )
  return { port, file }
})

describe.skipIf(!isInstalled)("Gateway, before nginx", () => {
  it.live("serves files, ranges, conditions, and what is not there", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { port, file } = yield* nginx
      const edgeId = yield* gateway.addEdge(port)
      const path = `/api/edges/${edgeId}/http/file.bin`
      // It closes each connection after three answers: more than that shows that we follow.
      for (let count = 0; count < 10; count++) {
        const whole = yield* ask(gateway, path)
        assert.strictEqual(whole.status, 200)
        assert.isTrue(whole.body.equals(file))
      }
      assert.isAtMost(gateway.edge(edgeId).dialled, 5)
      const part = yield* ask(gateway, path, { headers: ["Range", "bytes=5-14"] })
      assert.deepStrictEqual(
        [part.status, part.headers["content-range"], part.body.toString()],
        [206, "bytes 5-14/300000", "5678901234"]
      )
      const beyond = yield* ask(gateway, path, { headers: ["Range", "bytes=300000-"] })
      assert.strictEqual(beyond.status, 416)
      const parts = yield* ask(gateway, path, { headers: ["Range", "bytes=0-1,4-5"] })
      assert.match(String(parts.headers["content-type"]), /^multipart\/byteranges/)
      const same = yield* ask(gateway, path, { headers: ["If-None-Match", String(part.headers.etag)] })
      assert.deepStrictEqual([same.status, same.body.length], [304, 0])
      const head = yield* ask(gateway, path, { method: "HEAD" })
      assert.deepStrictEqual([head.status, head.headers["content-length"]], [200, "300000"])
      assert.strictEqual((yield* ask(gateway, `${path}x`)).status, 404)
      assert.strictEqual(
        (yield* ask(gateway, path, { method: "POST", headers: ["Content-Length", "1"], body: "a" })).status,
        405
      )
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("passes targets and big headers on as they came", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { port } = yield* nginx
      const edgeId = yield* gateway.addEdge(port)
      for (const target of ["/uri//a%2Fb/..;/c?d=%26&e=/f?g", "/uri/%C3%A9/./", "/uri?"]) {
        assert.strictEqual(
          (yield* ask(gateway, `/api/edges/${edgeId}/http${target}`)).body.toString(),
          target
        )
      }
      const seen = yield* ask(gateway, `/api/edges/${edgeId}/http/headers`, {
        headers: ["X-Big", "x".repeat(60 * 1024), "Authorization", "Basic x", "X-Forwarded-For", "6.6.6.6"]
      })
      assert.strictEqual(seen.body.toString(), "localhost|127.0.0.1||")
    }).pipe(Effect.provide(TestGateway.layer()))
  )
})
