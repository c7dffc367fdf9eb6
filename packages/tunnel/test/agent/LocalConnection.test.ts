import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import type { RequestListener } from "node:http"
import { createServer } from "node:https"
import { type AddressInfo, connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ServiceTarget } from "@edge-relay/tunnel/agent/LocalConnection"
import { serveV1 } from "@edge-relay/tunnel/agent/LocalService"
import { startLocal } from "@edge-relay/testkit/tunnel/LocalServer"
import { readAll } from "@edge-relay/testkit/Streams"

const hasOpenSsl = spawnSync("openssl", ["version"]).status === 0

/** An HTTPS server for `localhost`, and the file of its certificate. */
const startHttps = Effect.fnUntraced(function* (onRequest: RequestListener) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "edge-relay-local-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "cert.pem")]
  const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
  const named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
  execFileSync("openssl", ["req", "-x509", ...made, "-keyout", key, "-out", certificate, ...named], {
    stdio: "ignore"
  })
  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, onRequest)
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.sync(() => server.closeAllConnections()).pipe(Effect.andThen(Effect.sync(() => server.close())))
  )
  // A server that listens on TCP has such an address.
  return { port: (server.address() as AddressInfo).port, certificate }
})

/** What a request by a tunnel's stream to that target gets; what kept it from there. */
const ask = Effect.fnUntraced(function* (target: ServiceTarget) {
  let refused = ""
  const cloud = yield* startLocal((stream) =>
    serveV1(stream, {
      services: new Map([["http", target]]),
      connectTimeoutMillis: 10_000,
      onRefused: (_service, _target, error) => {
        refused = error.message
      }
    })
  )
  const stream = connect(cloud.port, "127.0.0.1")
  stream.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
  const answer = yield* Effect.promise(() => readAll(stream).then(String, () => ""))
  return answer === "" ? refused : (answer.split("\r\n\r\n")[1] ?? "")
})

describe.skipIf(!hasOpenSsl)("A local server over TLS (openssl)", () => {
  it.live("is reached where its certificate holds, by the file that is named, or is not to be checked", () =>
    Effect.gen(function* () {
      const { certificate, port } = yield* startHttps((request, response) => {
        request.on("data", (part: Buffer) => response.end(`${part} over TLS`))
      })
      const trusted = { host: "localhost", port, tls: { caFile: certificate } }
      assert.include(yield* ask(trusted), "hi over TLS")
      assert.include(yield* ask({ host: "127.0.0.1", port, tls: { isInsecure: true } }), "hi over TLS")
      assert.match(yield* ask({ host: "localhost", port, tls: {} }), /self-signed certificate/)
      assert.match(yield* ask({ ...trusted, host: "127.0.0.1" }), /does not match certificate's altnames/)
      assert.match(yield* ask({ ...trusted, tls: { caFile: `${certificate}.gone` } }), /ENOENT/)
    }).pipe(Effect.scoped)
  )

  it.live("that speaks no TLS is told apart", () =>
    Effect.gen(function* () {
      const plain = yield* startLocal((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      const said = yield* ask({ host: "127.0.0.1", port: plain.port, tls: { isInsecure: true } })
      assert.match(said, /SSL|TLS/i)
    }).pipe(Effect.scoped)
  )
})
