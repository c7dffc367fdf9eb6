import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as http from "node:http"
import * as net from "node:net"
import {
  ask,
  code,
  eventually,
  httpOrigin,
  rawOrigin,
  scriptedOrigin,
  sendRaw,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/** A port that nobody listens on. */
const closedPort = Effect.scoped(rawOrigin(() => undefined))

/** A browser that goes away: its request, and the socket to destroy. */
const begin = (gateway: TestGateway["Service"], path: string, method = "GET"): net.Socket => {
  const socket = net.connect({ port: gateway.port, host: "127.0.0.1", noDelay: true })
  socket.on("error", () => undefined)
  const length = method === "GET" ? "" : "Content-Length: 1000000\r\n"
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\n${length}\r\n`)
  return socket
}

describe("Gateway, when somebody gives up", () => {
  it.live("says who: offline, busy, refused, silent, stopped", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* closedPort)
      const path = `/api/edges/${edgeId}/http/`
      const refused = yield* ask(gateway, path)
      assert.deepStrictEqual([refused.status, code(refused)], [502, "edge_refused"])
      gateway.edge(edgeId).busy = true
      const busy = yield* ask(gateway, path)
      assert.deepStrictEqual([busy.status, code(busy), busy.headers["retry-after"]], [429, "edge_busy", "1"])
      gateway.edge(edgeId).offline = true
      const offline = yield* ask(gateway, path)
      assert.deepStrictEqual([offline.status, code(offline)], [503, "edge_offline"])
      assert.match(String(offline.headers["retry-after"]), /^\d+$/)
      const silent = yield* gateway.addEdge(yield* rawOrigin((socket) => socket.resume()))
      const timeout = yield* ask(gateway, `/api/edges/${silent}/http/`)
      assert.deepStrictEqual([timeout.status, code(timeout)], [504, "edge_timeout"])
      yield* eventually("the stream's end", () => gateway.edge(silent).streams.size === 0)
      assert.deepStrictEqual(
        gateway.traffic.recent(edgeId).map(({ status, cause }) => [status, cause]),
        [
          [503, "edge_offline"],
          [429, "edge_busy"],
          [502, "edge_refused"]
        ]
      )
    }).pipe(Effect.provide(TestGateway.layer({ firstByteMillis: 300 })))
  )

  it.live("waits for a slow upload longer than for a silent edge", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin((request, response) => request.resume().once("end", () => response.end("got it")))
      )
      const received = yield* Effect.callback<string>((resume) => {
        const request = http.request(
          {
            port: gateway.port,
            agent: false,
            method: "POST",
            path: `/api/edges/${edgeId}/http/`,
            headers: { Cookie: gateway.cookie }
          },
          (response) => response.once("data", (body) => resume(Effect.succeed(String(body))))
        )
        request.write("a")
        setTimeout(() => request.end("b"), 1500)
      })
      assert.strictEqual(received, "got it")
    }).pipe(Effect.provide(TestGateway.layer({ firstByteMillis: 300 })))
  )

  it.live.each([
    ["ends at once", (socket: net.Socket) => socket.end()],
    ["resets at once", (socket: net.Socket) => socket.resetAndDestroy()],
    ["ends in the middle of the status line", (socket: net.Socket) => socket.end("HTTP/1.1 2")],
    ["ends in the middle of a header", (socket: net.Socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Le")],
    [
      "resets in the middle of a header",
      (socket: net.Socket) => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Le", () => setTimeout(() => socket.resetAndDestroy(), 20))
      }
    ],
    ["answers junk", (socket: net.Socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n")],
    [
      "answers with two lengths",
      (socket: net.Socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na")
    ],
    [
      "answers with an upgrade that nobody asked for",
      (socket: net.Socket) => socket.write("HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n")
    ]
  ] as const)("answers edge_reset where the edge %s", ([, act]) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* scriptedOrigin((socket) => void act(socket)))
      const answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`)
      assert.deepStrictEqual([answer.status, code(answer)], [502, "edge_reset"])
      yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live.each([
    ["in the middle of a counted body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"],
    ["in the middle of a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc"],
    ["before the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
    [
      "with a chunk that is none",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
      "zz\r\n"
    ]
  ] as ReadonlyArray<readonly [string, string, string?]>)(
    "breaks the connection where the answer breaks off %s",
    ([, text, last = ""]) =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(
          yield* scriptedOrigin((socket) => {
            socket.write(text)
            setTimeout(() => socket.end(last), 20)
          })
        )
        const answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`)
        assert.strictEqual(answer.status, 200)
        assert.isTrue(answer.broken)
        yield* eventually("a record", () => gateway.traffic.recent(edgeId).length === 1)
        assert.deepInclude(gateway.traffic.recent(edgeId)[0], { status: 200, cause: "edge_reset" })
      }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("loses no POST to a server that closes idle connections after 300 ms and does not say so", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const port = yield* rawOrigin((socket) => {
        let closing: NodeJS.Timeout | undefined
        let answeredAt = Number.POSITIVE_INFINITY
        socket.once("close", () => clearTimeout(closing))
        socket.on("data", () => {
          // What crosses the end of the connection is lost.
          if (performance.now() - answeredAt > 250) return socket.resetAndDestroy()
          clearTimeout(closing)
          answeredAt = performance.now()
          closing = setTimeout(() => socket.end(), 300)
          return socket.write(ok)
        })
      })
      const post = Effect.fnUntraced(function* () {
        const edgeId = yield* gateway.addEdge(port)
        const statuses: Array<number> = []
        for (let count = 0; count < 4; count++) {
          statuses.push((yield* ask(gateway, `/api/edges/${edgeId}/http/`, { method: "POST" })).status)
          yield* Effect.sleep("270 millis")
        }
        return statuses
      })
      const posts = yield* Effect.forEach(Array.from({ length: 15 }), post, { concurrency: "unbounded" })
      assert.deepStrictEqual([...new Set(posts.flat())], [200])
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live.each(["DELETE", "POST"])("never asks twice for a bare %s that an idle connection lost", (method) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      let asked = 0
      // It says that it keeps the connection, and closes it with the next request, done or not.
      const port = yield* rawOrigin((socket) =>
        socket.on("data", (chunk) => {
          if (String(chunk).startsWith("GET ")) {
            return socket.write("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nContent-Length: 2\r\n\r\nok")
          }
          asked++
          return socket.end()
        })
      )
      const edgeId = yield* gateway.addEdge(port)
      const path = `/api/edges/${edgeId}/http/`
      assert.strictEqual((yield* ask(gateway, path)).status, 200)
      const answer = yield* sendRaw(
        gateway.port,
        `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ${gateway.cookie}\r\n\r\n`
      )
      assert.match(answer, /^HTTP\/1\.1 502 [^]*"edge_reset"/)
      assert.deepStrictEqual([asked, gateway.edge(edgeId).dialled], [1, 1])
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("resets a client that could take a broken answer for a short one", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* scriptedOrigin((socket) => {
          socket.write("HTTP/1.1 200 OK\r\n\r\nabc", () => setTimeout(() => socket.resetAndDestroy(), 50))
        })
      )
      const outcome = yield* Effect.callback<string>((resume) => {
        const socket = net.connect({ port: gateway.port, host: "127.0.0.1" })
        socket.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(String(error.code))))
        socket.once("end", () => resume(Effect.succeed("a clean end")))
        socket.resume()
        socket.write(`GET /api/edges/${edgeId}/http/ HTTP/1.0\r\nCookie: ${gateway.cookie}\r\n\r\n`)
      })
      assert.strictEqual(outcome, "ECONNRESET")
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  describe("a kept-alive connection that the edge has closed", () => {
    /** Answers the first request of a connection; closes at the second. */
    const once = rawOrigin((socket) => {
      let asked = 0
      socket.on("data", () => (++asked === 1 ? socket.write(ok) : socket.destroy()))
    })

    it.live("is replaced once for a request that may be repeated", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(yield* once)
        const path = `/api/edges/${edgeId}/http/`
        assert.strictEqual((yield* ask(gateway, path)).status, 200)
        assert.strictEqual((yield* ask(gateway, path)).status, 200)
        assert.strictEqual(gateway.edge(edgeId).dialled, 2)
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("is the end of a request that may not", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(yield* once)
        const path = `/api/edges/${edgeId}/http/`
        assert.strictEqual((yield* ask(gateway, path)).status, 200)
        const answer = yield* ask(gateway, path, {
          method: "POST",
          headers: ["Content-Length", "1"],
          body: "a"
        })
        assert.deepStrictEqual([answer.status, code(answer)], [502, "edge_reset"])
        assert.strictEqual(gateway.edge(edgeId).dialled, 1)
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("is not tried a third time", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        let connections = 0
        const edgeId = yield* gateway.addEdge(
          yield* rawOrigin((socket) => {
            const first = ++connections === 1
            let asked = 0
            socket.on("data", () => (first && ++asked === 1 ? socket.write(ok) : socket.destroy()))
          })
        )
        const path = `/api/edges/${edgeId}/http/`
        assert.strictEqual((yield* ask(gateway, path)).status, 200)
        assert.strictEqual((yield* ask(gateway, path)).status, 502)
        assert.strictEqual(connections, 2)
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("is not used where its end has been seen", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(
          yield* scriptedOrigin((socket) => {
            socket.write(ok)
            setTimeout(() => socket.end(), 20)
          })
        )
        const path = `/api/edges/${edgeId}/http/`
        for (let count = 0; count < 3; count++) {
          const answer = yield* ask(gateway, path, { method: "POST", headers: ["Content-Length", "0"] })
          assert.strictEqual(answer.status, 200)
          yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
        }
      }).pipe(Effect.provide(TestGateway.layer()))
    )
  })

  it.live("gives an answer that nobody asked for to nobody", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const poisoned = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
      const atOnce = yield* gateway.addEdge(yield* scriptedOrigin(`${ok}${poisoned}`, ok))
      const later = yield* gateway.addEdge(
        yield* scriptedOrigin((socket) => {
          socket.write(ok)
          setTimeout(() => socket.write(poisoned), 20)
        }, ok)
      )
      for (const edgeId of [atOnce, later]) {
        assert.strictEqual((yield* ask(gateway, `/api/edges/${edgeId}/http/`)).body.toString(), "ok")
        yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
        assert.strictEqual((yield* ask(gateway, `/api/edges/${edgeId}/http/`)).body.toString(), "ok")
        assert.strictEqual(gateway.edge(edgeId).dialled, 2)
      }
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("takes pipelined requests in turn, and sees the browser go, whatever it had asked", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const seen: Array<string> = []
      const waiting: Array<() => void> = []
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin((request, response) => {
          seen.push(`${request.method} ${request.url}`)
          request.resume()
          waiting.push(() => response.end(request.url))
        })
      )
      const head = (method: string, target: string, more = "") =>
        `${method} /api/edges/${edgeId}/http/${target} HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\n${more}\r\n`
      const browser = net.connect({ port: gateway.port, host: "127.0.0.1" })
      let received = ""
      browser.on("error", () => undefined)
      browser.on("data", (chunk) => (received += chunk.toString("latin1")))
      browser.write(
        head("GET", "1") + head("POST", "2", "Content-Length: 5\r\n") + "hello" + head("GET", "3")
      )
      browser.write(head("GET", "4").repeat(80))
      for (let count = 1; count <= 3; count++) {
        yield* eventually(`request ${count}`, () => seen.length === count)
        assert.strictEqual(gateway.edge(edgeId).streams.size, 1)
        waiting[count - 1]?.()
        yield* eventually(`answer ${count}`, () => received.endsWith(`/${count}`))
      }
      assert.deepStrictEqual(seen.slice(0, 3), ["GET /1", "POST /2", "GET /3"])
      yield* eventually("the fourth", () => seen.length === 4)
      browser.destroy()
      yield* eventually("none at the edge", () => gateway.edge(edgeId).streams.size === 0)
      assert.lengthOf(seen, 4)
      // Nobody sends so many ahead in earnest.
      assert.strictEqual(yield* sendRaw(gateway.port, head("GET", "5").repeat(200)), "")
      yield* eventually("none at the edge again", () => gateway.edge(edgeId).streams.size === 0)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("resets the edge's request within 100 ms of the browser's going away", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const seen = new Map<string, number>()
      const edgeId = yield* gateway.addEdge(
        yield* rawOrigin((socket) => {
          let name = ""
          socket.on("data", (chunk) => {
            name ||= /(?<= \/)\w+/.exec(chunk.toString())?.[0] ?? ""
            if (name === "streaming") socket.write("HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
          })
          socket.once("close", () => seen.set(name, performance.now()))
        })
      )
      for (const [name, method] of [
        ["waiting", "GET"],
        ["streaming", "GET"],
        ["uploading", "POST"]
      ] as const) {
        // The machine may have other things to do: the quickest of three tells what is waited for by design.
        let quickest = Infinity
        for (let count = 0; count < 3; count++) {
          seen.delete(name)
          const streams = gateway.edge(edgeId).dialled
          const browser = begin(gateway, `/api/edges/${edgeId}/http/${name}`, method)
          yield* eventually("a request at the edge", () => gateway.edge(edgeId).dialled > streams)
          if (name === "streaming") {
            yield* Effect.callback<void>((resume) => void browser.once("data", () => resume(Effect.void)))
          } else yield* Effect.sleep("30 millis")
          const gone = performance.now()
          browser.destroy()
          yield* eventually(`${name} reset`, () => seen.has(name))
          quickest = Math.min(quickest, (seen.get(name) ?? 0) - gone)
        }
        assert.isBelow(quickest, 100, name)
      }
      assert.isTrue(gateway.traffic.recent(edgeId).every(({ cause }) => cause === "client_closed"))
      assert.strictEqual(gateway.traffic.recent(edgeId).length, 9)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("passes an answer on that comes before the upload has ended, and goes on", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin((_, response) => response.writeHead(413).end("too large"))
      )
      const answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`, {
        method: "PUT",
        headers: ["Content-Length", String(8 << 20)],
        body: Buffer.alloc(8 << 20)
      })
      assert.deepStrictEqual([answer.status, answer.body.toString()], [413, "too large"])
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("refuses what is past the edge's bound of streams, and serves again when there is room", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const waiting: Array<http.ServerResponse> = []
      const edgeId = yield* gateway.addEdge(yield* httpOrigin((_, response) => void waiting.push(response)))
      const path = `/api/edges/${edgeId}/http/`
      const all = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4, 5], () => ask(gateway, path), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* eventually("three at the edge", () => waiting.length === 3)
      yield* eventually("two refused", () => gateway.traffic.recent(edgeId).length === 2)
      for (const response of waiting) response.end("ok")
      const statuses = (yield* Fiber.join(all)).map(({ status }) => status).sort()
      assert.deepStrictEqual(statuses, [200, 200, 200, 429, 429])
      // The three connections are idle, and one makes room for an upgrade's.
      const upgrade = yield* Effect.forkChild(
        sendRaw(
          gateway.port,
          `GET ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`
        ),
        { startImmediately: true }
      )
      yield* eventually("a fourth at the edge", () => waiting.length === 4)
      waiting[3]?.end("ok")
      assert.match(yield* Fiber.join(upgrade), /^HTTP\/1\.1 200 OK/)
    }).pipe(Effect.provide(TestGateway.layer({ maxStreamsPerEdge: 3 })))
  )
})
