import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as net from "node:net"
import { WebSocket, WebSocketServer } from "ws"
import {
  eventually,
  httpOrigin,
  rawOrigin,
  sendRaw,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"

const idleMillis = 600

const layer = TestGateway.layer({ uploadIdleMillis: idleMillis, firstByteMillis: 30_000 })

const post = (gateway: TestGateway["Service"], edgeId: string, headers: string, body = "") =>
  `POST /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\n${headers}\r\n\r\n${body}`

/** Sends what is given, one piece each `everyMillis`, and answers all that comes until the connection closes. */
const sendSlowly = (port: number, first: string, pieces: ReadonlyArray<string>, everyMillis: number) =>
  Effect.callback<string>((resume) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true })
    let received = ""
    let sent = 0
    socket.on("data", (chunk) => (received += chunk.toString("latin1")))
    socket.on("error", () => undefined)
    socket.once("close", () => {
      clearInterval(timer)
      resume(Effect.succeed(received))
    })
    socket.write(first)
    const timer = setInterval(() => {
      const piece = pieces[sent++]
      if (piece === undefined) clearInterval(timer)
      else socket.write(piece)
    }, everyMillis)
    return Effect.sync(() => socket.destroy())
  })

describe("Gateway, uploads that stall", () => {
  it.live.each([
    ["before its body", "Content-Length: 10", ""],
    ["in its body", "Content-Length: 10", "hello"],
    ["between chunks", "Transfer-Encoding: chunked", "5\r\nhello\r\n"],
    ["in a chunk", "Transfer-Encoding: chunked", "5\r\nhe"],
    ["before the last chunk's end", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n"]
  ] as const)("answers 408 to one that stops %s, and frees the edge's stream", ([, headers, body]) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const reset: Array<boolean> = []
      const edgeId = yield* gateway.addEdge(
        yield* rawOrigin((socket) => socket.resume().once("close", (hadError) => reset.push(hadError)))
      )
      const begun = performance.now()
      const received = yield* sendRaw(gateway.port, post(gateway, edgeId, headers, body))
      assert.isAtLeast(performance.now() - begun, idleMillis)
      const [head = "", problem = ""] = received.split("\r\n\r\n")
      assert.match(head, /^HTTP\/1\.1 408 /)
      assert.match(head, /\r\nContent-Type: application\/problem\+json\r\n/)
      assert.match(head, /\r\nConnection: close(\r\n|$)/)
      assert.strictEqual(JSON.parse(problem).code, "request_timeout")
      yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0 && reset.length > 0)
      assert.deepStrictEqual(
        gateway.traffic.recent(edgeId).map(({ status, cause }) => [status, cause]),
        [[408, "request_timeout"]]
      )
    }).pipe(Effect.provide(layer))
  )

  it.live("answers 408 to one that was told to send its body, and did not", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* rawOrigin((socket) => {
          socket.once("data", () =>
            socket.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
          )
        })
      )
      const received = yield* sendRaw(
        gateway.port,
        post(gateway, edgeId, "Content-Length: 10\r\nExpect: 100-continue")
      )
      assert.match(received, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 408 /)
      yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
    }).pipe(Effect.provide(layer))
  )

  it.live("breaks off where the answer has begun", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin((_, response) => {
          response.writeHead(200)
          response.write("begun")
        })
      )
      const received = yield* sendRaw(
        gateway.port,
        post(gateway, edgeId, "Transfer-Encoding: chunked", "1\r\na\r\n")
      )
      assert.match(received, /^HTTP\/1\.1 200 /)
      assert.include(received, "begun")
      assert.notInclude(received, "0\r\n\r\n")
      yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
      assert.strictEqual(gateway.traffic.recent(edgeId)[0]?.cause, "request_timeout")
    }).pipe(Effect.provide(layer))
  )

  it.live("breaks off where the edge has begun to answer, and takes no more", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* rawOrigin((socket) => {
          socket.once("data", () => {
            socket.pause()
            socket.write("HTTP/1.1 200 OK\r\n\r\nbegun")
          })
        })
      )
      const size = 64 * 1024 * 1024
      const received = yield* sendRaw(
        gateway.port,
        post(gateway, edgeId, `Content-Length: ${size}`, "x".repeat(size))
      )
      assert.include(received, "begun")
      yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
      assert.strictEqual(gateway.traffic.recent(edgeId)[0]?.cause, "edge_timeout")
    }).pipe(Effect.provide(layer))
  )

  it.live.each([
    // The kernel's buffers hold the first, and not the second: the end of it is seen, or it is not.
    ["a little", 100_000],
    ["much", 64 * 1024 * 1024]
  ] as const)(
    "breaks off an upgraded connection whose browser sent %s and went, where the edge reads nothing",
    ([, size]) =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(
          yield* rawOrigin((socket) => {
            socket.once("data", () => {
              socket.pause()
              socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
            })
          })
        )
        const browser = net.connect({ port: gateway.port, host: "127.0.0.1" })
        browser.on("error", () => undefined)
        browser.write(
          `GET /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`
        )
        yield* Effect.callback<void>((resume) => void browser.once("data", () => resume(Effect.void)))
        browser.end(Buffer.alloc(size))
        yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
        yield* eventually("a record", () => gateway.traffic.recent(edgeId).length === 1)
        assert.strictEqual(gateway.traffic.recent(edgeId)[0]?.cause, "edge_timeout")
        browser.destroy()
      }).pipe(Effect.provide(layer))
  )

  it.live("lets one go on that is slow but does not stop, and an edge think that has it all", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin((request, response) => {
          let body = ""
          request.on("data", (part) => (body += String(part)))
          request.once("end", () => setTimeout(() => response.end(`got ${body}`), 3 * idleMillis))
        })
      )
      const received = yield* sendSlowly(
        gateway.port,
        post(gateway, edgeId, "Content-Length: 8\r\nConnection: close"),
        [..."abcdefgh"],
        idleMillis / 3
      )
      assert.match(received, /^HTTP\/1\.1 200 /)
      assert.include(received, "got abcdefgh")
    }).pipe(Effect.provide(layer))
  )

  it.live("lets one pause for as long as its answer goes on", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin((request, response) => {
          response.writeHead(200, { "Content-Type": "text/event-stream" })
          const timer = setInterval(() => response.write("data: 1\n\n"), idleMillis / 4)
          request.resume().once("end", () => {
            clearInterval(timer)
            response.end("data: last\n\n")
          })
        })
      )
      const received = yield* sendSlowly(
        gateway.port,
        post(gateway, edgeId, "Transfer-Encoding: chunked\r\nConnection: close", "1\r\na\r\n"),
        ["0\r\n\r\n"],
        4 * idleMillis
      )
      assert.include(received, "data: last")
    }).pipe(Effect.provide(layer))
  )

  it.live("does not touch an event stream or a WebSocket that is silent", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin(
          (_, response) => {
            response.writeHead(200, { "Content-Type": "text/event-stream" })
            response.write("data: first\n\n")
            setTimeout(() => response.end("data: last\n\n"), 4 * idleMillis)
          },
          (server) =>
            new WebSocketServer({ server }).on("connection", (socket) =>
              socket.on("message", (data) => socket.send(data))
            )
        )
      )
      const webSocket = new WebSocket(`ws://127.0.0.1:${gateway.port}/api/edges/${edgeId}/http/`, {
        headers: { Cookie: gateway.cookie }
      })
      yield* eventually("an open WebSocket", () => webSocket.readyState === WebSocket.OPEN)
      const events = yield* sendRaw(
        gateway.port,
        `GET /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ${gateway.cookie}\r\n\r\n`
      )
      assert.include(events, "data: last")
      const echo = yield* Effect.callback<string>((resume) => {
        webSocket.once("message", (data) => resume(Effect.succeed(String(data))))
        webSocket.send("still here")
      })
      assert.strictEqual(echo, "still here")
      webSocket.close()
    }).pipe(Effect.provide(layer))
  )
})
