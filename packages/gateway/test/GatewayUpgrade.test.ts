import { assert, describe, it } from "@effect/vitest"
import { within } from "@edge-relay/testkit/Within"
import { Effect, Fiber } from "effect"
import * as net from "node:net"
import { WebSocket, WebSocketServer } from "ws"
import {
  ask,
  eventually,
  httpOrigin,
  rawOrigin,
  scriptedOrigin,
  sendRaw,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"

/** An edge whose local server echoes WebSocket messages; `close CODE` closes with it. */
const webSocketEcho = Effect.gen(function* () {
  const seen: Array<{ readonly headers: NodeJS.Dict<string | ReadonlyArray<string>>; closed?: number }> = []
  const port = yield* httpOrigin(
    (_, response) => response.writeHead(426).end("upgrade, please"),
    (server) => {
      const sockets = new WebSocketServer({ server, maxPayload: 4 << 20, handleProtocols: () => "chat" })
      sockets.on("connection", (socket, request) => {
        const entry: (typeof seen)[number] = { headers: request.headers }
        seen.push(entry)
        socket.on("message", (data, isBinary) => {
          const text = isBinary ? "" : String(data)
          if (text.startsWith("close ")) socket.close(Number(text.slice(6)), "because")
          else socket.send(data, { binary: isBinary })
        })
        socket.on("close", (closed) => Object.assign(entry, { closed }))
      })
    }
  )
  return { port, seen }
})

const connect = (
  gateway: { readonly port: number; readonly cookie: string },
  path: string,
  headers: { readonly [name: string]: string } = {}
): Effect.Effect<WebSocket | number> =>
  Effect.callback((resume) => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}`, "chat", {
      headers: { Cookie: gateway.cookie, ...headers },
      perMessageDeflate: false
    })
    socket.on("error", () => undefined)
    socket.once("open", () => resume(Effect.succeed(socket)))
    socket.once("unexpected-response", (request, response) => {
      resume(Effect.succeed(response.statusCode ?? 0))
      request.destroy()
    })
  })

const open = (gateway: { readonly port: number; readonly cookie: string }, path: string) =>
  Effect.map(connect(gateway, path), (socket) => {
    if (typeof socket === "number") throw new Error(`status ${socket}`)
    return socket
  })

const next = (socket: WebSocket): Effect.Effect<Buffer> =>
  Effect.callback((resume) => {
    socket.once("message", (data) => resume(Effect.succeed(Buffer.isBuffer(data) ? data : Buffer.alloc(0))))
  })

const closed = (socket: WebSocket): Effect.Effect<readonly [number, string]> =>
  Effect.callback((resume) => {
    socket.once("close", (code, reason) => resume(Effect.succeed([code, String(reason)])))
  })

const upgradeHead = (gateway: TestGateway["Service"], path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n`

/** An edge that speaks a protocol of its own after 101: it says each byte back, and ends when it is told the end. */
const echoProtocol = rawOrigin((socket) => {
  let head = ""
  socket.on("data", (chunk) => {
    if (head.endsWith("\r\n\r\n")) return void socket.write(chunk)
    head += chunk.toString("latin1")
    if (head.endsWith("\r\n\r\n")) {
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo/1\r\nConnection: Upgrade\r\nX-A: b\r\n\r\nfirst,"
      )
    }
  })
  socket.on("end", () => socket.end("last"))
})

describe("Gateway, upgrades", () => {
  it.live("carries WebSocket messages of 1 MiB, subprotocol and close codes, both ways", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { port, seen } = yield* webSocketEcho
      const path = `/api/edges/${yield* gateway.addEdge(port)}/http/socket`
      const socket = yield* open(gateway, path)
      assert.strictEqual(socket.protocol, "chat")
      const message = Buffer.alloc(1 << 20, "x")
      for (let count = 0; count < 3; count++) {
        const answer = yield* Effect.forkChild(next(socket), { startImmediately: true })
        socket.send(message)
        assert.isTrue((yield* Fiber.join(answer)).equals(message))
      }
      assert.isUndefined(seen[0]?.headers["cookie"])
      assert.strictEqual(seen[0]?.headers["x-edge-user"], gateway.userId)
      const end = yield* Effect.forkChild(closed(socket), { startImmediately: true })
      socket.send("close 4321")
      assert.deepStrictEqual(yield* Fiber.join(end), [4321, "because"])
      const second = yield* open(gateway, path)
      second.close(4999)
      yield* eventually("the close code at the edge", () => seen[1]?.closed === 4999)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("takes the edge API's socket, too", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { port } = yield* webSocketEcho
      const edgeId = yield* gateway.addEdge(port)
      const socket = yield* open(gateway, `/api/edges/${edgeId}/devices/d1/inference/socket`)
      socket.close()
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("refuses those who may not, and other sites' pages", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { port } = yield* webSocketEcho
      const edgeId = yield* gateway.addEdge(port)
      const path = `/api/edges/${edgeId}/http/`
      assert.strictEqual(yield* connect({ ...gateway, cookie: "" }, path), 401)
      assert.strictEqual(yield* connect({ ...gateway, cookie: gateway.strangersCookie }, path), 404)
      assert.strictEqual(yield* connect(gateway, path, { Origin: "http://evil.test" }), 403)
      assert.strictEqual(yield* connect(gateway, path, { Origin: "null" }), 403)
      const own = yield* connect(gateway, path, { Origin: "http://relay.test:3721" })
      assert.notStrictEqual(typeof own, "number")
      gateway.edge(edgeId).offline = true
      assert.strictEqual(yield* connect(gateway, path), 503)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("passes a refusal of the edge on, and closes", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* scriptedOrigin("HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nnope")
      )
      const held = `GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`
      const received = yield* sendRaw(gateway.port, upgradeHead(gateway, `/api/edges/${edgeId}/http/`) + held)
      assert.match(received, /^HTTP\/1\.1 403 No\r\n/)
      assert.match(received, /\r\n\r\nnope$/)
      assert.match(received, /Connection: close/)
      yield* eventually("a record", () => gateway.traffic.recent(edgeId).length === 1)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("carries any other protocol, the bytes that come early, and half-close", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* echoProtocol)
      const received = yield* Effect.callback<string>((resume) => {
        const socket = net.connect({ port: gateway.port, host: "127.0.0.1", allowHalfOpen: true })
        let text = ""
        socket.on("data", (chunk) => {
          text += chunk.toString("latin1")
          if (text.endsWith("first,early,")) socket.end("later,")
        })
        socket.once("end", () => {
          resume(Effect.succeed(text))
          socket.end()
        })
        socket.write(`${upgradeHead(gateway, `/api/edges/${edgeId}/http/`)}early,`)
      })
      const [head, body] = received.split("\r\n\r\n")
      assert.match(
        head ?? "",
        /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\/1\r\nX-A: b\r\n/
      )
      assert.strictEqual(body, "first,early,later,last")
      yield* eventually("a record", () => gateway.traffic.recent(edgeId).length === 1)
      assert.deepInclude(gateway.traffic.recent(edgeId)[0], {
        status: 101,
        cause: null,
        bytesIn: "first,early,later,last".length,
        bytesOut: "early,later,".length
      })
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("breaks off where an answer to an earlier request is still on its way, and lives on", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const slow = yield* gateway.addEdge(yield* rawOrigin((socket) => socket.resume()))
      const echo = yield* gateway.addEdge(yield* echoProtocol)
      const first = `GET /api/edges/${slow}/http/ HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\n\r\n`
      const upgrade = upgradeHead(gateway, `/api/edges/${echo}/http/`)
      assert.strictEqual(yield* sendRaw(gateway.port, first + upgrade), "")
      // Two hosts: refused before anybody is asked who it is from.
      assert.strictEqual(yield* sendRaw(gateway.port, first + upgrade.replace("Host", "Host: b\r\nHost")), "")
      const alone = yield* sendRaw(gateway.port, upgrade, (text) => text.endsWith("first,"))
      assert.match(alone, /^HTTP\/1\.1 101 /)
      assert.strictEqual(gateway.edge(echo).dialled, 1)
      yield* eventually("the end at the slow edge", () => gateway.edge(slow).streams.size === 0)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live.each([
    ["h2c among others", "1.1", "Upgrade: websocket, H2C"],
    ["h2c in a second line", "1.1", "Upgrade: websocket\r\nUpgrade: h2c"],
    ["h2c first", "1.1", "Upgrade: h2c,x"],
    ["HTTP/2.0", "1.1", "Upgrade: HTTP/2.0"],
    ["TLS", "1.1", "Upgrade: TLS/1.0, x"],
    ["anything in HTTP/1.0", "1.0", "Upgrade: x"]
  ] as const)("ignores an offer of %s", ([, version, lines]) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const seen: Array<string> = []
      const edgeId = yield* gateway.addEdge(
        yield* rawOrigin((socket) => {
          socket.on("data", (chunk) => {
            seen.push(chunk.toString("latin1"))
            socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
          })
        })
      )
      const received = yield* sendRaw(
        gateway.port,
        `GET /api/edges/${edgeId}/http/ HTTP/${version}\r\nHost: a\r\nCookie: ${gateway.cookie}\r\nConnection: Upgrade\r\n${lines}\r\n\r\n`,
        (text) => text.endsWith("plain")
      )
      assert.match(received, /^HTTP\/1\.1 200 /)
      assert.notMatch(seen.join(""), /upgrade/i)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live.each([
    ["another protocol", "Upgrade: h2c\r\n"],
    ["one more protocol", "Upgrade: x, h2c\r\n"],
    ["a protocol without a name", ""]
  ] as const)("does not let an edge switch to %s than what was asked for", ([, line]) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* scriptedOrigin(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${line}\r\nbytes`)
      )
      const received = yield* sendRaw(
        gateway.port,
        `GET /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\nConnection: Upgrade\r\nUpgrade: x, y\r\n\r\n`
      )
      assert.match(received, /^HTTP\/1\.1 502 /)
      assert.include(received, "edge_reset")
      yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("ignores an offer of HTTP/2, and one with a body", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin((request, response) =>
          request.resume().once("end", () => response.end(String(request.headers.upgrade)))
        )
      )
      const path = `/api/edges/${edgeId}/http/`
      const h2c = yield* ask(gateway, path, {
        headers: ["Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "x"]
      })
      assert.deepStrictEqual([h2c.status, h2c.body.toString()], [200, "undefined"])
      const withBody = yield* ask(gateway, path, {
        method: "POST",
        headers: ["Connection", "Upgrade", "Upgrade", "x", "Content-Length", "3"],
        body: "abc"
      })
      assert.deepStrictEqual([withBody.status, withBody.body.toString()], [200, "undefined"])
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("leaves an offer to the router where the request is not for an edge", () =>
    Effect.gen(function* () {
      const answer = yield* ask(yield* TestGateway, "/healthz", {
        headers: ["Connection", "Upgrade", "Upgrade", "websocket"]
      })
      assert.deepStrictEqual([answer.status, answer.body.toString()], [404, "router"])
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("ends within a second of its session's end, on both sides", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { port, seen } = yield* webSocketEcho
      const edgeId = yield* gateway.addEdge(port)
      const socket = yield* open(gateway, `/api/edges/${edgeId}/http/`)
      const end = yield* Effect.forkChild(closed(socket), { startImmediately: true })
      yield* gateway.endSession
      assert.deepStrictEqual(yield* within(1, "the end", Fiber.join(end)), [1006, ""])
      yield* eventually("the end at the edge", () => seen[0]?.closed !== undefined)
      assert.deepInclude(gateway.traffic.recent(edgeId)[0], { status: 101, cause: "unauthorized" })
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live.each([
    ["before the edge has answered", ""],
    ["after it", "HTTP/1.1 101 X\r\nUpgrade: echo/1\r\nConnection: Upgrade\r\n\r\n"]
  ] as const)("breaks off at the edge within 100 ms where the browser goes %s", ([, answer]) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      let closedAt = 0
      let asked = false
      const edgeId = yield* gateway.addEdge(
        yield* rawOrigin((socket) => {
          socket.on("data", () => {
            asked = true
            socket.write(answer)
          })
          socket.once("close", () => {
            closedAt = performance.now()
          })
        })
      )
      // The machine may have other things to do: the quickest of three tells what is waited for by design.
      let quickest = Infinity
      for (let count = 0; count < 3; count++) {
        closedAt = 0
        asked = false
        const browser = net.connect({ port: gateway.port, host: "127.0.0.1" })
        browser.on("error", () => undefined)
        browser.write(upgradeHead(gateway, `/api/edges/${edgeId}/http/`))
        yield* eventually("a request at the edge", () => asked)
        yield* Effect.sleep("30 millis")
        const gone = performance.now()
        browser.resetAndDestroy()
        yield* eventually("the end at the edge", () => closedAt > 0)
        quickest = Math.min(quickest, closedAt - gone)
      }
      assert.isBelow(quickest, 100)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("breaks off at the browser where the edge does", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* scriptedOrigin((socket) => {
          socket.write("HTTP/1.1 101 X\r\nUpgrade: echo/1\r\nConnection: Upgrade\r\n\r\n")
          setTimeout(() => socket.resetAndDestroy(), 50)
        })
      )
      const outcome = yield* Effect.callback<string>((resume) => {
        const browser = net.connect({ port: gateway.port, host: "127.0.0.1" })
        browser.resume()
        browser.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(String(error.code))))
        browser.once("end", () => resume(Effect.succeed("a clean end")))
        browser.write(upgradeHead(gateway, `/api/edges/${edgeId}/http/`))
      })
      assert.strictEqual(outcome, "ECONNRESET")
    }).pipe(Effect.provide(TestGateway.layer()))
  )
})
