import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { createHash, randomBytes } from "node:crypto"
import * as net from "node:net"
import { WebSocket, WebSocketServer } from "ws"
import { startServer } from "@edge-relay/testkit/proxy/TestProxyServer"
import { startRelay } from "@edge-relay/testkit/TcpRelay"
import { tokenOf } from "@edge-relay/testkit/TestTokens"
import {
  ask,
  code,
  eventually,
  httpOrigin,
  layerPresence,
  rawOrigin,
  TestEdges,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"

/**
 * The gateway before a real proxy and a real agent: internal port, WebSocket, yamux and all, over a network that
 * can be cut between proxy and agent.
 */
const chain = Effect.fnUntraced(function* (
  port: number,
  body: (gateway: TestGateway["Service"], path: string, cut: () => void) => Effect.Effect<void>
) {
  const proxy = yield* startServer({ maxStreams: 1024 })
  const relay = yield* startRelay(() => proxy.tunnelPort)
  let connected = false
  yield* Effect.forkScoped(
    TunnelClient.run({
      url: `ws://127.0.0.1:${relay.port}`,
      token: Redacted.make("ert_1"),
      services: new Map([["http", { host: "127.0.0.1", port }]]),
      // Once cut off it stays away: the test is over before.
      reconnect: { firstMillis: 60_000, maxMillis: 60_000, healthyMillis: 60_000, displacedMillis: 60_000 },
      onStatus: ({ _tag }) =>
        Effect.sync(() => {
          connected = _tag === "connected"
        })
    })
  )
  yield* eventually("an agent", () => connected)
  const dialer = Layer.mergeAll(
    Layer.succeed(TunnelDialer, proxy.dialer),
    layerPresence,
    Layer.sync(TestEdges, () => new Map())
  )
  yield* Effect.gen(function* () {
    const gateway = yield* TestGateway
    const { edgeId } = tokenOf(1)
    yield* gateway.addEdge(port, "v2", edgeId)
    yield* body(gateway, `/api/edges/${edgeId}/http`, () => relay.cut())
  }).pipe(Effect.provide(TestGateway.layer({ firstByteMillis: 5000 }, dialer)))
})

const begin = (gateway: TestGateway["Service"], path: string): net.Socket => {
  const socket = net.connect({ port: gateway.port, host: "127.0.0.1", noDelay: true })
  socket.on("error", () => undefined)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\n\r\n`)
  return socket
}

describe("Gateway, through proxy and agent", () => {
  it.live("carries requests, 16 MiB both ways, and says what the agent could not do", () =>
    Effect.gen(function* () {
      const bytes = randomBytes(16 << 20)
      const hash = createHash("sha256").update(bytes).digest("hex")
      const port = yield* httpOrigin((request, response) => {
        if (request.method === "GET") {
          response.end(request.url === "/bytes" ? bytes : "hello")
          return
        }
        const received = createHash("sha256")
        request.on("data", (part: Buffer) => received.update(part))
        request.once("end", () => response.end(received.digest("hex")))
      })
      yield* chain(port, (gateway, path) =>
        Effect.gen(function* () {
          for (let count = 0; count < 20; count++) {
            assert.strictEqual((yield* ask(gateway, `${path}/hello`)).body.toString(), "hello")
          }
          const down = yield* ask(gateway, `${path}/bytes`)
          assert.strictEqual(createHash("sha256").update(down.body).digest("hex"), hash)
          const up = yield* ask(gateway, `${path}/`, {
            method: "PUT",
            headers: ["Transfer-Encoding", "chunked"],
            body: bytes
          })
          assert.strictEqual(up.body.toString(), hash)
        })
      )
    }).pipe(Effect.scoped)
  )

  it.live("loses no answer of an origin that answers early, and closes without reading what is sent", () =>
    Effect.gen(function* () {
      const port = yield* httpOrigin((_, response) => {
        response.writeHead(413, { connection: "close" }).end("too large")
      })
      yield* chain(port, (gateway, path) =>
        Effect.gen(function* () {
          const lost: Array<string> = []
          for (const kilobytes of [30, 200, 1000]) {
            const body = Buffer.alloc(kilobytes * 1000)
            for (const length of [
              ["Content-Length", String(body.length)],
              ["Transfer-Encoding", "chunked"]
            ]) {
              for (let count = 0; count < 25; count++) {
                const answer = yield* ask(gateway, `${path}/`, { method: "POST", headers: length, body })
                if (answer.status !== 413 || answer.body.toString() !== "too large") {
                  lost.push(`${kilobytes} kB, ${length[0]}: ${answer.status} ${answer.body}`)
                }
              }
            }
          }
          assert.deepStrictEqual(lost, [])
        })
      )
    }).pipe(Effect.scoped)
  )

  it.live(
    "loses no answer that only the end of its connection delimits, which comes before the body is read",
    () =>
      Effect.gen(function* () {
        const port = yield* rawOrigin((socket) => {
          socket.once("data", () => {
            socket.pause()
            socket.end("HTTP/1.0 401 Unauthorized\r\n\r\nsign in", () => socket.destroy())
          })
        })
        yield* chain(port, (gateway, path) =>
          Effect.gen(function* () {
            const body = Buffer.alloc(200_000)
            for (let count = 0; count < 50; count++) {
              const answer = yield* ask(gateway, `${path}/`, {
                method: "POST",
                headers: ["Content-Length", String(body.length)],
                body
              })
              assert.deepStrictEqual(
                [answer.status, answer.body.toString(), answer.broken],
                [401, "sign in", false]
              )
            }
          })
        )
      }).pipe(Effect.scoped)
  )

  it.live("carries WebSockets and their close codes", () =>
    Effect.gen(function* () {
      const port = yield* httpOrigin(
        (_, response) => response.end(),
        (server) => {
          new WebSocketServer({ server }).on("connection", (socket) => {
            socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
            socket.once("message", (data) => {
              if (String(data) === "close") socket.close(4321, "because")
            })
          })
        }
      )
      yield* chain(port, (gateway, path) =>
        Effect.gen(function* () {
          const messages = Array.from({ length: 20 }, (_, index) => Buffer.alloc(index * 50_000, index))
          const received = yield* Effect.callback<ReadonlyArray<Buffer>>((resume) => {
            const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}/`, {
              headers: { Cookie: gateway.cookie }
            })
            const all: Array<Buffer> = []
            socket.once("open", () => {
              for (const message of messages) socket.send(message)
            })
            socket.on("message", (data) => {
              if (Buffer.isBuffer(data)) all.push(data)
              if (all.length < messages.length) return
              socket.close()
              resume(Effect.succeed(all))
            })
          })
          assert.isTrue(
            received.every((message, index) => message.equals(messages[index] ?? Buffer.from("?")))
          )
          const code = yield* Effect.callback<number>((resume) => {
            const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}/`, {
              headers: { Cookie: gateway.cookie }
            })
            socket.once("open", () => socket.send("close"))
            socket.once("close", (code) => resume(Effect.succeed(code)))
          })
          assert.strictEqual(code, 4321)
        })
      )
    }).pipe(Effect.scoped)
  )

  it.live("says that the local server does not listen, and that the edge is offline", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(rawOrigin(() => undefined))
      yield* chain(port, (gateway, path, cut) =>
        Effect.gen(function* () {
          const refused = yield* ask(gateway, `${path}/`)
          assert.deepStrictEqual([refused.status, code(refused)], [502, "edge_refused"])
          cut()
          yield* Effect.sleep("100 millis")
          const offline = yield* ask(gateway, `${path}/`)
          assert.deepStrictEqual([offline.status, code(offline)], [503, "edge_offline"])
        })
      )
    }).pipe(Effect.scoped)
  )

  it.live.each([
    ["before a byte of the answer", "", 502],
    ["in the middle of a header", "HTTP/1.1 200 OK\r\nContent-Le", 502],
    ["in the middle of the body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 200],
    ["in the middle of a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc", 200],
    ["in a body without a length", "HTTP/1.1 200 OK\r\n\r\nabc", 200]
  ] as const)("is told of a tunnel that dies %s", ([, sent, status]) =>
    Effect.gen(function* () {
      let isAsked = false
      const port = yield* rawOrigin((socket) => {
        socket.once("data", () => {
          isAsked = true
          socket.write(sent)
        })
      })
      yield* chain(port, (gateway, path, cut) =>
        Effect.gen(function* () {
          const asking = yield* Effect.forkChild(ask(gateway, `${path}/`), { startImmediately: true })
          yield* eventually("a request at the edge", () => isAsked)
          yield* Effect.sleep("100 millis")
          cut()
          const answer = yield* Fiber.join(asking)
          assert.strictEqual(answer.status, status)
          if (status === 200) assert.isTrue(answer.broken)
          else assert.strictEqual(code(answer), "edge_reset")
        })
      )
    }).pipe(Effect.scoped)
  )

  it.live("resets the edge's local request within 100 ms of the browser's going away", () =>
    Effect.gen(function* () {
      let isAsked = false
      let endedAt = 0
      const port = yield* httpOrigin((request, response) => {
        isAsked = true
        if (request.url === "/stream") response.write("data: 1\n\n")
        response.once("close", () => {
          endedAt = performance.now()
        })
      })
      yield* chain(port, (gateway, path) =>
        Effect.gen(function* () {
          for (const target of ["/wait", "/stream"]) {
            // The machine may have other things to do: the quickest of three tells what is waited for by design.
            let quickest = Infinity
            for (let count = 0; count < 3; count++) {
              isAsked = false
              endedAt = 0
              const browser = begin(gateway, path + target)
              yield* eventually("a request at the edge", () => isAsked)
              yield* Effect.sleep("100 millis")
              const gone = performance.now()
              browser.destroy()
              yield* eventually("its end at the edge", () => endedAt > 0)
              quickest = Math.min(quickest, endedAt - gone)
            }
            assert.isBelow(quickest, 100, target)
          }
        })
      )
    }).pipe(Effect.scoped)
  )
})
