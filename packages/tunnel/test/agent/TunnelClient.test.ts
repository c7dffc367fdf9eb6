import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import { Readable } from "node:stream"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createServer as createTlsServer } from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { splice } from "@edge-relay/tunnel/Splice"
import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"
import { eventually, eventuallyEffect } from "@edge-relay/testkit/Eventually"
import { closedPort, echo, startLocal } from "@edge-relay/testkit/tunnel/LocalServer"
import { startRelay } from "@edge-relay/testkit/TcpRelay"
import { closed, readAll, readExactly } from "@edge-relay/testkit/Streams"
import { startProxy, type TestProxy } from "@edge-relay/testkit/tunnel/TestTunnelServer"
import { tokenOf } from "@edge-relay/testkit/TestTokens"

const { edgeId, tokenId } = tokenOf(1)

/** Quick enough for tests, slow enough to be told apart. */
const reconnect = { firstMillis: 20, maxMillis: 100, healthyMillis: 60_000, displacedMillis: 400 }

/** An agent for the scope's life, and what it said of itself. */
const startAgent = Effect.fnUntraced(function* (
  url: string,
  port: number,
  options: Partial<TunnelClient.TunnelClientOptions> = {}
) {
  const statuses: Array<TunnelClient.TunnelStatus> = []
  const fiber = yield* Effect.forkScoped(
    TunnelClient.run({
      url,
      token: Redacted.make("ert_1"),
      services: new Map([["http", { host: "127.0.0.1", port }]]),
      hello: { agent: "edge-relay/test", hostname: "box" },
      reconnect,
      onStatus: (status) => Effect.sync(() => statuses.push(status)),
      ...options
    })
  )
  return { statuses, fiber }
})

const isOnline = (proxy: TestProxy) => proxy.store.exists(tokenId)

const onlineAgent = Effect.fnUntraced(function* (
  proxy: TestProxy,
  port: number,
  options: Partial<TunnelClient.TunnelClientOptions> = {}
) {
  const agent = yield* startAgent(proxy.url, port, options)
  yield* eventuallyEffect("online", isOnline(proxy))
  return agent
})

const openTo = (proxy: TestProxy, service = "http") =>
  Effect.map(proxy.tunnels.open(edgeId, service), ({ stream }) => stream)

describe("a stream to a local service", () => {
  it.live("carries bytes both ways, and says what the agent is", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const { port } = yield* startLocal(echo)
      yield* onlineAgent(proxy, port)
      const stream = yield* openTo(proxy)
      stream.write("hello")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(stream, 5))), "hello")
      assert.deepInclude((yield* proxy.store.list)[0], { agent: "edge-relay/test", hostname: "box" })
    })
  )

  it.live("is told with its local address, and which one it reads in requests", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const local = { origin: "http://nas.local:8080", hostHeader: "local" } as const
      yield* onlineAgent(proxy, 1, {
        services: new Map([
          ["http", { host: "nas.local", port: 8080, local }],
          ["ssh", { host: "127.0.0.1", port: 22 }]
        ])
      })
      assert.deepInclude((yield* proxy.store.list)[0], {
        services: ["http", "ssh"],
        localServers: { http: local }
      })
    })
  )

  it.live("keeps half-close in both directions", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const { port } = yield* startLocal(async (socket) => {
        const told = await readAll(socket)
        socket.end(`${told.length} bytes, to the end`)
      })
      yield* onlineAgent(proxy, port)
      const stream = yield* openTo(proxy)
      stream.end(Buffer.alloc(3_000_000))
      assert.strictEqual(String(yield* Effect.promise(() => readAll(stream))), "3000000 bytes, to the end")
    })
  )

  it.live("holds a local server back that is faster than its reader", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      let written = 0
      const source = new Readable({
        read() {
          written += 65_536
          this.push(Buffer.alloc(65_536))
        }
      })
      const { port } = yield* startLocal((socket) => void source.pipe(socket))
      yield* onlineAgent(proxy, port)
      const stream = yield* openTo(proxy)
      yield* Effect.promise(() => readExactly(stream, 1_000))
      let before = -1
      yield* eventuallyEffect(
        "the writer to stop",
        Effect.sleep(100).pipe(
          Effect.map(() => {
            const stopped = written === before
            before = written
            return stopped
          })
        )
      )
      // The stream's window, and what kernels buffer on the way.
      assert.isBelow(written, 20e6)
      stream.destroy()
    })
  )

  it.live("resets the local connection within 100 ms of being cancelled", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const sockets: Array<Socket> = []
      const { port } = yield* startLocal((socket) => sockets.push(socket.resume()))
      yield* onlineAgent(proxy, port)
      // The machine may have other things to do: the quickest of three tells what is waited for by design.
      let quickest = Infinity
      for (let count = 1; count <= 3; count++) {
        const stream = yield* openTo(proxy)
        yield* eventually("a local connection", () => sockets.length === count)
        const local = sockets.at(-1)
        if (local === undefined) return yield* Effect.die("no connection")
        const gone = closed(local)
        const cancelledAt = performance.now()
        stream.destroy()
        assert.strictEqual((yield* Effect.promise(() => gone)).error?.code, "ECONNRESET")
        quickest = Math.min(quickest, performance.now() - cancelledAt)
      }
      assert.isBelow(quickest, 100)
    })
  )

  it.live("is reset where the local server breaks off, and not ended", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const { port } = yield* startLocal((socket) => {
        socket.once("data", () => socket.write("half an ans", () => socket.resetAndDestroy()))
      })
      yield* onlineAgent(proxy, port)
      const stream = yield* openTo(proxy)
      stream.write("request")
      assert.isTrue(yield* Effect.isFailure(Effect.tryPromise(() => readAll(stream))))
    })
  )

  it.live("is refused with the reason where nothing listens, or no such service is known", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      yield* onlineAgent(proxy, yield* closedPort)
      const refused = (yield* Effect.flip(openTo(proxy))).reason
      assert.deepInclude(refused, { _tag: "EdgeRefused", refusal: "refused" })
      const unknown = (yield* Effect.flip(openTo(proxy, "ssh"))).reason
      assert.deepInclude(unknown, { _tag: "EdgeRefused", refusal: "noSuchService" })
      const long = (yield* Effect.flip(openTo(proxy, "x".repeat(300)))).reason
      assert.deepInclude(long, { _tag: "EdgeRefused", refusal: "noSuchService" })
    })
  )

  it.live("works with a proxy that speaks the first generation's protocol", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const { port } = yield* startLocal(echo)
      // The agent's own offer is not the proxy's to choose from, hence a front that rewrites it.
      const relay = yield* startRelay(() => proxy.port)
      relay.forward = (chunk, to) =>
        void to.write(
          Buffer.from(
            chunk.toString("latin1").replace("edge-relay.v2,edge-relay.v1", "edge-relay.v1"),
            "latin1"
          )
        )
      yield* startAgent(`ws://127.0.0.1:${relay.port}`, port)
      yield* eventuallyEffect("online", isOnline(proxy))
      const { stream, protocol } = yield* proxy.tunnels.open(edgeId, "http")
      assert.strictEqual(protocol, "v1")
      stream.end("hello")
      assert.strictEqual(String(yield* Effect.promise(() => readAll(stream))), "hello")
    })
  )
})

describe("coming back", () => {
  it.live("dials again when the network breaks the connection", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const relay = yield* startRelay(() => proxy.port)
      const { port } = yield* startLocal(echo)
      const { statuses } = yield* startAgent(`ws://127.0.0.1:${relay.port}`, port)
      yield* eventually("connected", () => statuses.some(({ _tag }) => _tag === "connected"))
      relay.cut()
      yield* eventually("a second connection", () => relay.connections === 2)
      yield* eventually(
        "connected again",
        () => statuses.filter(({ _tag }) => _tag === "connected").length === 2
      )
      const stream = yield* openTo(proxy)
      stream.write("hello")
      yield* Effect.promise(() => readExactly(stream, 5))
    })
  )

  it.live("notices a connection that has gone silent", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy({ heartbeatMillis: 30 })
      const relay = yield* startRelay(() => proxy.port)
      const { statuses } = yield* startAgent(`ws://127.0.0.1:${relay.port}`, 1, { silenceMillis: 300 })
      yield* eventually("connected", () => statuses.some(({ _tag }) => _tag === "connected"))
      relay.isSilent = true
      const waiting = () => statuses.find((status) => status._tag === "waiting")
      yield* eventually("noticed", () => waiting() !== undefined)
      const noticed = waiting()
      assert.match(
        noticed?._tag === "waiting" && noticed.ending._tag === "failed" ? noticed.ending.message : "",
        /nothing from the cloud/
      )
    })
  )

  it.live("keeps a connection on which the cloud itself says nothing, by asking", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy({ heartbeatMillis: 60_000 })
      const { statuses } = yield* onlineAgent(proxy, 1, { silenceMillis: 400 })
      yield* Effect.sleep(1_000)
      assert.isFalse(statuses.some(({ _tag }) => _tag === "waiting"))
    })
  )

  it.live("stops when it is revoked, while connected or while it was away", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const { fiber } = yield* onlineAgent(proxy, 1)
      yield* proxy.tunnels.close((token) => token.tokenId === tokenId, "revoked")
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "TunnelRevoked")
      proxy.tokens.revoked.add(tokenId)
      const second = yield* startAgent(proxy.url, 1)
      assert.strictEqual((yield* Effect.flip(Fiber.join(second.fiber)))._tag, "TunnelRevoked")
    })
  )

  it.live("leaves the field to the machine that took over, and then tries again", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const first = yield* onlineAgent(proxy, 1)
      yield* startAgent(proxy.url, 1)
      yield* eventually("displaced", () => first.statuses.some(({ _tag }) => _tag === "waiting"))
      const waiting = first.statuses.find((status) => status._tag === "waiting")
      if (waiting?._tag !== "waiting") return yield* Effect.die("not waiting")
      assert.deepInclude(waiting.ending, { _tag: "closed", code: 4001 })
      assert.isAtLeast(waiting.millis, 200)
      assert.isBelow(waiting.millis, 600)
      yield* eventually("back", () => first.statuses.filter(({ _tag }) => _tag === "connected").length === 2)
    })
  )

  it.live("comes back at once after 1001", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const { statuses } = yield* onlineAgent(proxy, 1)
      yield* proxy.tunnels.close(() => true, "disconnected")
      yield* eventually("waiting", () => statuses.some(({ _tag }) => _tag === "waiting"))
      assert.deepInclude(
        statuses.find(({ _tag }) => _tag === "waiting"),
        { millis: 0 }
      )
      yield* eventuallyEffect("back", isOnline(proxy))
    })
  )

  it.live("obeys Retry-After, and backs off from what is not a tunnel server at all", () =>
    Effect.gen(function* () {
      let answers = 0
      const http = createServer((_request, response) => {
        answers++
        if (answers === 1) response.writeHead(503, { "Retry-After": "1" }).end()
        else response.writeHead(401).end("some captive portal")
      })
      yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve))),
        () => Effect.sync(() => http.close())
      )
      // A server that listens on TCP has such an address.
      const { port } = http.address() as AddressInfo
      const { statuses } = yield* startAgent(`ws://127.0.0.1:${port}`, 1)
      yield* eventually("three tries", () => answers === 3)
      const [first, second] = statuses.filter((status) => status._tag === "waiting")
      assert.deepInclude(first?.ending, { _tag: "refused", status: 503, retryAfterMillis: 1_000 })
      assert.isAtLeast(first?.millis ?? 0, 1_000)
      assert.deepInclude(second?.ending, { _tag: "refused", status: 401, code: undefined })
    })
  )

  it.live("gives up on a server that never answers, and on one that never welcomes", () =>
    Effect.gen(function* () {
      const mute = yield* startLocal((socket) => socket.resume())
      const { statuses } = yield* startAgent(`ws://127.0.0.1:${mute.port}`, 1, { handshakeMillis: 100 })
      yield* eventually("two tries", () => statuses.filter(({ _tag }) => _tag === "dialing").length === 2)
      const proxy = yield* startProxy()
      const relay = yield* startRelay(() => proxy.port)
      let chunks = 0
      relay.forward = (chunk, to) => {
        // The answer to the upgrade passes, and nothing after it.
        if (chunks++ < 2) to.write(chunk)
      }
      const second = yield* startAgent(`ws://127.0.0.1:${relay.port}`, 1, { handshakeMillis: 200 })
      yield* eventually("two tries", () => relay.connections === 2)
      assert.isFalse(second.statuses.some(({ _tag }) => _tag === "connected"))
    })
  )

  it.live("resolves the name anew at each try", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const nobody = yield* closedPort
      let lookups = 0
      const relay = yield* startRelay(() => (lookups < 3 ? nobody : proxy.port))
      yield* startAgent(`ws://tunnel.test:${relay.port}`, 1, {
        lookup: (hostname, options, callback) => {
          assert.strictEqual(hostname, "tunnel.test")
          lookups++
          if (options.all === true) callback(null, [{ address: "127.0.0.1", family: 4 }])
          else callback(null, "127.0.0.1", 4)
        }
      })
      yield* eventuallyEffect("online", isOnline(proxy))
      assert.isAtLeast(lookups, 3)
    })
  )

  it.live("closes in good order when it is interrupted", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const { fiber } = yield* onlineAgent(proxy, 1)
      yield* Fiber.interrupt(fiber)
      yield* eventuallyEffect(
        "offline",
        Effect.map(isOnline(proxy), (online) => !online)
      )
    })
  )
})

describe("draining", () => {
  it.live("moves to another proxy, while the streams of the first one go on to their end", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* startProxy(), yield* startProxy()]
      let target = first.port
      const relay = yield* startRelay(() => target)
      const { port } = yield* startLocal(echo)
      const { statuses } = yield* startAgent(`ws://127.0.0.1:${relay.port}`, port)
      yield* eventuallyEffect("online at the first", isOnline(first))
      const stream = yield* openTo(first)
      target = second.port
      const drained = yield* Effect.forkChild(first.tunnels.drain, { startImmediately: true })
      yield* eventuallyEffect("online at the second", isOnline(second))
      stream.write("still here")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(stream, 10))), "still here")
      // It takes nothing new where it is leaving.
      yield* eventuallyEffect(
        "refused at the first",
        Effect.map(Effect.result(openTo(first)), (result) => {
          if (result._tag === "Success") result.success.destroy()
          return result._tag === "Failure"
        })
      )
      stream.end()
      yield* Effect.promise(() => readAll(stream))
      yield* Fiber.join(drained)
      assert.strictEqual(statuses.filter(({ _tag }) => _tag === "connected").length, 2)
      const other = yield* openTo(second)
      other.write("hello")
      yield* Effect.promise(() => readExactly(other, 5))
    })
  )
})

describe("an HTTP proxy on the way", () => {
  it.live("is asked to connect, and is passed by where NO_PROXY says so", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const asked: Array<string> = []
      const forward = createServer()
      forward.on("connect", (request, socket: Socket, head: Buffer) => {
        asked.push(request.url ?? "")
        const upstream = connect(proxy.port, "127.0.0.1", () => {
          socket.write("HTTP/1.1 200 Connection Established\r\n\r\n")
          upstream.write(head)
          splice(upstream, socket)
        })
        socket.on("error", () => upstream.destroy())
      })
      yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<void>((resolve) => forward.listen(0, "127.0.0.1", resolve))),
        () => Effect.sync(() => forward.close())
      )
      // A server that listens on TCP has such an address.
      const { port } = forward.address() as AddressInfo
      const environment = { http_proxy: `http://127.0.0.1:${port}` }
      yield* startAgent("ws://tunnel.test:3800", 1, { environment })
      yield* eventuallyEffect("online", isOnline(proxy))
      assert.deepStrictEqual(asked, ["tunnel.test:3800"])
      yield* startAgent(proxy.url, 1, {
        token: Redacted.make("ert_2"),
        environment: { ...environment, NO_PROXY: "127.0.0.1" }
      })
      yield* eventuallyEffect("the second online", proxy.store.exists(tokenOf(2).tokenId))
      assert.strictEqual(asked.length, 1)
    })
  )
})

const hasOpenSsl = spawnSync("openssl", ["version"]).status === 0

describe("TLS", () => {
  it.live.skipIf(!hasOpenSsl)(
    "trusts the certificate authority that it is given, and without it nobody (openssl)",
    () =>
      Effect.gen(function* () {
        const proxy = yield* startProxy()
        const { key, cert } = yield* selfSigned
        const front = createTlsServer({ key, cert }, (socket) =>
          splice(socket, connect(proxy.port, "127.0.0.1"))
        )
        yield* Effect.acquireRelease(
          Effect.promise(() => new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve))),
          () => Effect.sync(() => front.close())
        )
        // A server that listens on TCP has such an address.
        const { port } = front.address() as AddressInfo
        const distrustful = yield* startAgent(`wss://localhost:${port}`, 1)
        yield* eventually("a failure", () => distrustful.statuses.some(({ _tag }) => _tag === "waiting"))
        const ending = distrustful.statuses.find((status) => status._tag === "waiting")?.ending
        assert.match(ending?._tag === "failed" ? ending.message : "", /self-signed certificate/)
        assert.isFalse(yield* isOnline(proxy))
        yield* startAgent(`wss://localhost:${port}`, 1, { ca: [cert] })
        yield* eventuallyEffect("online", isOnline(proxy))
      })
  )
})

const selfSigned = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "edge-relay-tls-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ),
  (folder) => {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")]
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        key,
        "-out",
        cert,
        ...subject
      ],
      { stdio: "ignore" }
    )
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") }
  }
)
