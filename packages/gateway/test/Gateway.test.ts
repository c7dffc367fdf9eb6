import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as http from "node:http"
import {
  type Answer,
  ask,
  code,
  eventually,
  httpOrigin,
  scriptedOrigin,
  sendRaw,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"

/** Answers what it was asked, as JSON. */
const echo = httpOrigin((request, response) => {
  const parts: Array<Buffer> = []
  request.on("data", (part: Buffer) => parts.push(part))
  request.on("end", () => {
    const { method, url, rawHeaders } = request
    response.setHeader("Content-Type", "application/json")
    response.end(JSON.stringify({ method, url, rawHeaders, body: Buffer.concat(parts).toString("latin1") }))
  })
})

const echoed = (
  answer: Answer
): { method: string; url: string; rawHeaders: ReadonlyArray<string>; body: string } =>
  JSON.parse(answer.body.toString())

const valuesOf = (rawHeaders: ReadonlyArray<string>, name: string): ReadonlyArray<string> =>
  rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name.toLowerCase()
  )

describe("Gateway", () => {
  describe("who may", () => {
    it.live("answers 401 without a session, with a forged one, and with two", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(yield* echo)
        const forged = `${gateway.cookie.slice(0, -2)}AA`
        for (const cookie of ["", "session=", forged, `${gateway.cookie}; ${gateway.strangersCookie}`]) {
          const answer = yield* ask({ ...gateway, cookie }, `/api/edges/${edgeId}/http/`)
          assert.strictEqual(answer.status, 401)
          assert.strictEqual(code(answer), "unauthorized")
          assert.strictEqual(answer.headers["content-type"], "application/problem+json")
          assert.strictEqual(answer.headers["cache-control"], "no-store")
        }
        assert.strictEqual(gateway.edge(edgeId).dialled, 0)
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("answers another tenant's edge like one that never was, and records the denial once", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(yield* echo)
        const stranger = { ...gateway, cookie: gateway.strangersCookie }
        const bodyOf = ({ body, headers }: Answer) =>
          body.toString().replace(String(headers["x-request-id"]), "")
        const others = yield* ask(stranger, `/api/edges/${edgeId}/http/`)
        const nobodys = yield* ask(stranger, `/api/edges/${edgeId.slice(0, -1)}0/http/`)
        const nonsense = yield* ask(stranger, "/api/edges/%2e%2e/http/")
        assert.strictEqual(others.status, 404)
        assert.strictEqual(code(others), "edge_not_found")
        assert.strictEqual(bodyOf(others), bodyOf(nobodys))
        assert.strictEqual(bodyOf(others), bodyOf(nonsense))
        yield* ask(gateway, "/api/edges/edge_01h00000000000000000000000/http/")
        yield* ask(gateway, "/api/edges/edge_01h00000000000000000000000/http/")
        const denials = yield* gateway.audit.list(gateway.tenantId, { limit: 10 })
        assert.deepStrictEqual(
          denials.items.map(({ action, outcome, actor, detail }) => ({ action, outcome, actor, detail })),
          [{ action: "gateway.denied", outcome: "failure", actor: gateway.userId, detail: "edge_not_found" }]
        )
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("forgets an edge within a second of its removal", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(yield* echo)
        assert.strictEqual((yield* ask(gateway, `/api/edges/${edgeId}/http/`)).status, 200)
        yield* gateway.removeEdge(edgeId)
        yield* Effect.sleep("900 millis")
        assert.strictEqual((yield* ask(gateway, `/api/edges/${edgeId}/http/`)).status, 404)
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("refuses unsafe methods from another site's page", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const path = `/api/edges/${yield* gateway.addEdge(yield* echo)}/http/`
        const statusOf = (method: string, ...headers: ReadonlyArray<string>) =>
          Effect.map(ask(gateway, path, { method, headers }), ({ status }) => status)
        assert.strictEqual(yield* statusOf("POST", "Sec-Fetch-Site", "cross-site"), 403)
        assert.strictEqual(yield* statusOf("POST", "Sec-Fetch-Site", "same-site"), 403)
        assert.strictEqual(yield* statusOf("DELETE", "Origin", "http://evil.test"), 403)
        assert.strictEqual(yield* statusOf("PUT", "Origin", "null"), 403)
        assert.strictEqual(yield* statusOf("POST", "Sec-Fetch-Site", "same-origin"), 200)
        assert.strictEqual(yield* statusOf("POST", "Origin", "http://relay.test:3721"), 200)
        assert.strictEqual(yield* statusOf("POST"), 200)
        assert.strictEqual(yield* statusOf("GET", "Sec-Fetch-Site", "cross-site"), 200)
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("breaks a session's requests off when it ends", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(
          yield* httpOrigin((_, response) => {
            response.write("data: 1\n\n")
          })
        )
        const streaming = yield* Effect.forkChild(ask(gateway, `/api/edges/${edgeId}/http/events`), {
          startImmediately: true
        })
        yield* eventually("a stream", () => gateway.edge(edgeId).streams.size === 1)
        yield* Effect.sleep("50 millis")
        yield* gateway.endSession
        const answer = yield* Fiber.join(streaming)
        assert.isTrue(answer.broken)
        yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
        assert.strictEqual((yield* ask(gateway, `/api/edges/${edgeId}/http/`)).status, 401)
      }).pipe(Effect.provide(TestGateway.layer()))
    )
  })

  describe("to the edge", () => {
    it.live("passes every method on, and its body", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const path = `/api/edges/${yield* gateway.addEdge(yield* echo)}/http/x`
        for (const method of http.METHODS.filter(
          (method) => !["CONNECT", "HEAD", "TRACE"].includes(method)
        )) {
          const answer = yield* ask(gateway, path, { method, headers: ["Content-Length", "4"], body: "body" })
          assert.strictEqual(answer.status, 200, method)
          const { method: seen, body } = echoed(answer)
          assert.deepStrictEqual([seen, body], [method, "body"])
        }
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("passes targets on as they came", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(yield* echo)
        const targets = [
          "/",
          "//a//b/",
          "/a%2Fb%2f",
          "/..;/a",
          "/../b/./c",
          "/%2e%2e/",
          "/%00%ff",
          "/a?b=c?d&&=%26",
          "/?",
          "/%C3%A9",
          "/a|b{}"
        ]
        for (const target of targets) {
          assert.strictEqual(echoed(yield* ask(gateway, `/api/edges/${edgeId}/http${target}`)).url, target)
        }
        assert.strictEqual(
          echoed(yield* ask(gateway, `/api/edges/${edgeId}/system/info?a=b`)).url,
          "/system/info?a=b"
        )
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("tells who asks and what for, and nothing that a client said of it", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(yield* echo)
        const answer = yield* ask(
          { ...gateway, cookie: `a=1; ${gateway.cookie}; b=2` },
          `/api/edges/${edgeId}/http/`,
          {
            headers: [
              "X-Edge-User",
              "root",
              "X-Forwarded-For",
              "6.6.6.6",
              "X_Forwarded_For",
              "6.6.6.6",
              "x-request-id",
              "my-id",
              "Authorization",
              "Bearer secret",
              "Connection",
              "close, X-Hop",
              "X-Hop",
              "1",
              "Forwarded",
              "for=6.6.6.6",
              "X-Twice",
              "1",
              "x-twice",
              "2"
            ]
          }
        )
        const { rawHeaders } = echoed(answer)
        assert.deepStrictEqual(rawHeaders.slice(0, 2), ["Host", "localhost"])
        assert.deepStrictEqual(valuesOf(rawHeaders, "X-Edge-User"), [gateway.userId])
        assert.deepStrictEqual(valuesOf(rawHeaders, "X-Forwarded-For"), ["127.0.0.1"])
        assert.deepStrictEqual(valuesOf(rawHeaders, "X-Forwarded-Proto"), ["http"])
        assert.deepStrictEqual(valuesOf(rawHeaders, "X-Forwarded-Host"), ["relay.test:3721"])
        assert.deepStrictEqual(valuesOf(rawHeaders, "X-Forwarded-Prefix"), [`/api/edges/${edgeId}/http`])
        assert.deepStrictEqual(valuesOf(rawHeaders, "X-Request-Id"), ["my-id"])
        assert.deepStrictEqual(valuesOf(rawHeaders, "Cookie"), [])
        assert.deepStrictEqual(
          rawHeaders.filter((name) => name.toLowerCase() === "x-twice"),
          ["X-Twice", "x-twice"]
        )
        for (const name of ["Authorization", "X-Hop", "Forwarded", "X_Forwarded_For"]) {
          assert.deepStrictEqual(valuesOf(rawHeaders, name), [])
        }
        assert.notInclude(answer.body.toString(), gateway.cookie.slice("session=".length))
        assert.strictEqual(answer.headers["x-request-id"], "my-id")
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("gives a request an id where its own is not fit to be one", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const path = `/api/edges/${yield* gateway.addEdge(yield* echo)}/http/`
        for (const id of [[], ["x".repeat(129)], ["a b"], ["\xe9"], ["a", "b"]]) {
          const answer = yield* ask(gateway, path, { headers: id.flatMap((one) => ["X-Request-Id", one]) })
          assert.match(String(answer.headers["x-request-id"]), /^[\w-]{14,}$/)
          assert.deepStrictEqual(valuesOf(echoed(answer).rawHeaders, "X-Request-Id"), [
            String(answer.headers["x-request-id"])
          ])
        }
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("passes bodies on: counted, chunked, empty and none", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const edgeId = yield* gateway.addEdge(yield* echo)
        const send = (rest: string) =>
          Effect.map(
            sendRaw(
              gateway.port,
              `POST /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ${gateway.cookie}\r\n${rest}`
            ),
            (received) => JSON.parse(received.slice(received.indexOf("\r\n\r\n") + 4))
          )
        const counted = yield* send("Content-Length: 3\r\n\r\nabc")
        assert.strictEqual(counted.body, "abc")
        const chunked = yield* send(
          "Transfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n2\r\nbc\r\n0\r\nTrailer: t\r\n\r\n"
        )
        assert.strictEqual(chunked.body, "abc")
        assert.deepStrictEqual(valuesOf(chunked.rawHeaders, "Transfer-Encoding"), ["chunked"])
        assert.deepStrictEqual(valuesOf(chunked.rawHeaders, "Trailer"), [])
        const empty = yield* send("Content-Length: 0\r\n\r\n")
        assert.deepStrictEqual(valuesOf(empty.rawHeaders, "Content-Length"), ["0"])
        const none = yield* send("\r\n")
        assert.deepStrictEqual(valuesOf(none.rawHeaders, "Content-Length"), [])
        assert.deepStrictEqual(valuesOf(none.rawHeaders, "Transfer-Encoding"), [])
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("passes 60 KiB of headers on, both ways, and answers 431 to more than it takes", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const big = "x".repeat(60 * 1024)
        const port = yield* httpOrigin((request, response) => {
          response.setHeader("X-Back", String(request.headers["x-big"]))
          response.end(String(request.headers["x-big"]?.length))
        })
        const path = `/api/edges/${yield* gateway.addEdge(port)}/http/`
        const answer = yield* ask(gateway, path, { headers: ["X-Big", big] })
        assert.strictEqual(answer.body.toString(), String(big.length))
        assert.strictEqual(answer.headers["x-back"], big)
        const tooBig = yield* ask(gateway, path, { headers: ["X-Big", "x".repeat(90 * 1024)] })
        assert.strictEqual(tooBig.status, 431)
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("lets the edge say whether a body is sent, where the client waits for its word", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const port = yield* httpOrigin(
          (request, response) => request.resume().once("end", () => response.end("taken")),
          (server) =>
            server.on("checkContinue", (request, response) => {
              if (request.url === "/no") {
                response.writeHead(413).end("too large")
              } else {
                response.writeContinue()
                server.emit("request", request, response)
              }
            })
        )
        const edgeId = yield* gateway.addEdge(port)
        const head = (path: string) =>
          `PUT /api/edges/${edgeId}/http${path} HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`
        const refused = yield* sendRaw(gateway.port, head("/no"))
        assert.match(refused, /^HTTP\/1\.1 413 /)
        assert.include(refused, "too large")
        let continued = ""
        const taken = yield* Effect.callback<string>((resume) => {
          const request = http.request({
            port: gateway.port,
            agent: false,
            method: "PUT",
            path: `/api/edges/${edgeId}/http/yes`,
            headers: { Cookie: gateway.cookie, Expect: "100-continue", "Content-Length": "3" }
          })
          request.once("continue", () => {
            continued = "continued"
            request.end("abc")
          })
          request.once("response", (response) => {
            response.once("data", (body) => resume(Effect.succeed(String(body))))
          })
          request.flushHeaders()
        })
        assert.deepStrictEqual([continued, taken], ["continued", "taken"])
        const unauthorized = yield* sendRaw(gateway.port, head("/yes").replace(/Cookie: .*\r\n/, ""))
        assert.match(unauthorized, /^HTTP\/1\.1 401 /)
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("uses one connection for requests that follow each other, and a new one each for a v1 edge", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const port = yield* echo
        const v2 = yield* gateway.addEdge(port)
        const v1 = yield* gateway.addEdge(port, "v1")
        for (let count = 0; count < 5; count++) {
          yield* ask(gateway, `/api/edges/${v2}/http/`)
          const answer = yield* ask(gateway, `/api/edges/${v1}/http/`)
          assert.deepStrictEqual(valuesOf(echoed(answer).rawHeaders, "Connection"), ["close"])
        }
        assert.strictEqual(gateway.edge(v2).dialled, 1)
        assert.strictEqual(gateway.edge(v1).dialled, 5)
        yield* eventually("v1 streams closed", () => gateway.edge(v1).streams.size === 0)
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("closes connections that are idle before the edge would", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const port = yield* scriptedOrigin(
          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=2\r\n\r\n"
        )
        const edgeId = yield* gateway.addEdge(port)
        yield* ask(gateway, `/api/edges/${edgeId}/http/`)
        assert.strictEqual(gateway.edge(edgeId).streams.size, 1)
        yield* eventually("no stream left", () => gateway.edge(edgeId).streams.size === 0)
      }).pipe(Effect.provide(TestGateway.layer()))
    )
  })

  describe("from the edge", () => {
    const answered = (gateway: TestGateway["Service"], text: string, method = "GET") =>
      Effect.gen(function* () {
        const edgeId = yield* gateway.addEdge(yield* scriptedOrigin(text))
        return yield* ask(gateway, `/api/edges/${edgeId}/http/`, { method })
      })

    it.live("keeps status, reason, and headers in order, spelling and number", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const answer = yield* answered(
          gateway,
          "HTTP/1.1 299 Quite Fine\r\nDate: d\r\nx-b: 1\r\nX-A: \xe9\r\nX-B: 2\r\nContent-Length: 2\r\n\r\n\xff\x00"
        )
        assert.deepStrictEqual([answer.status, answer.message], [299, "Quite Fine"])
        assert.deepStrictEqual(answer.rawHeaders.slice(0, 10), [
          "Date",
          "d",
          "x-b",
          "1",
          "X-A",
          "\xe9",
          "X-B",
          "2",
          "Content-Length",
          "2"
        ])
        assert.deepStrictEqual([...answer.body], [255, 0])
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("keeps an edge's page from being us", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const answer = yield* answered(
          gateway,
          "HTTP/1.1 200 OK\r\nSet-Cookie: session=evil\r\nset-cookie: a=b\r\nClear-Site-Data: *\r\n" +
            "Content-Security-Policy: default-src *\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n"
        )
        assert.isUndefined(answer.headers["set-cookie"])
        assert.isUndefined(answer.headers["clear-site-data"])
        assert.isUndefined(answer.headers["access-control-allow-origin"])
        // Policies add up: the edge's own can only take more away.
        assert.deepStrictEqual(valuesOf(answer.rawHeaders, "Content-Security-Policy"), [
          "default-src *",
          "sandbox allow-scripts allow-forms"
        ])
        assert.strictEqual(answer.headers["x-content-type-options"], "nosniff")
        // Whoever asks next may be somebody else.
        assert.strictEqual(answer.headers["cache-control"], "private")
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("passes 204, 304 and the answer to HEAD on without a body", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const none = yield* answered(gateway, "HTTP/1.1 204 No Content\r\n\r\n")
        assert.deepStrictEqual([none.status, none.body.length, none.broken], [204, 0, false])
        const same = yield* answered(
          gateway,
          'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 9\r\n\r\n'
        )
        assert.deepStrictEqual(
          [same.status, same.headers.etag, same.headers["content-length"]],
          [304, '"a"', "9"]
        )
        const head = yield* answered(gateway, "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", "HEAD")
        assert.deepStrictEqual(
          [head.status, head.headers["content-length"], head.broken],
          [200, "1234", false]
        )
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("passes bodies on: counted, chunked without its trailers, and to the end of the connection", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const chunked = yield* answered(
          gateway,
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n1;x\r\nd\r\n0\r\nX-T: 1\r\n\r\n"
        )
        assert.deepStrictEqual([chunked.body.toString(), chunked.broken], ["abcd", false])
        assert.isUndefined(chunked.headers.trailer)
        const edgeId = yield* gateway.addEdge(
          yield* scriptedOrigin((socket) => socket.end("HTTP/1.0 200 OK\r\n\r\nto the end"))
        )
        const closed = yield* ask(gateway, `/api/edges/${edgeId}/http/`)
        assert.deepStrictEqual([closed.body.toString(), closed.broken], ["to the end", false])
        const old = yield* sendRaw(
          gateway.port,
          `GET /api/edges/${edgeId}/http/ HTTP/1.0\r\nCookie: ${gateway.cookie}\r\n\r\n`
        )
        assert.match(old, /\r\n\r\nto the end$/)
        assert.notInclude(old, "chunked")
      }).pipe(Effect.provide(TestGateway.layer()))
    )

    it.live("passes interim answers on to those who understand them", () =>
      Effect.gen(function* () {
        const gateway = yield* TestGateway
        const port = yield* scriptedOrigin(
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nSet-Cookie: a=b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        )
        const edgeId = yield* gateway.addEdge(port)
        const get = (version: string) =>
          sendRaw(
            gateway.port,
            `GET /api/edges/${edgeId}/http/ HTTP/${version}\r\nHost: a\r\nConnection: close\r\nCookie: ${gateway.cookie}\r\n\r\n`
          )
        const received = yield* get("1.1")
        assert.match(received, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
        assert.match(yield* get("1.0"), /^HTTP\/1\.1 200 OK\r\n/)
      }).pipe(Effect.provide(TestGateway.layer()))
    )
  })

  it.live("answers HTTP/1.0 and keep-alive clients as they wish", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* echo)
      const get = (version: string, connection: string) =>
        `GET /api/edges/${edgeId}/http/ HTTP/${version}\r\nHost: a\r\nConnection: ${connection}\r\nCookie: ${gateway.cookie}\r\n\r\n`
      const answers = (received: string) => received.split("HTTP/1.1 200 OK").length - 1
      assert.strictEqual(answers(yield* sendRaw(gateway.port, get("1.0", ""))), 1)
      const both = get("1.0", "keep-alive") + get("1.0", "close")
      assert.strictEqual(answers(yield* sendRaw(gateway.port, both)), 2)
      const pipelined = get("1.1", "keep-alive").repeat(20) + get("1.1", "close")
      assert.strictEqual(answers(yield* sendRaw(gateway.port, pipelined)), 21)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("remembers what it forwarded", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* echo)
      const before = Date.now()
      yield* ask(gateway, `/api/edges/${edgeId}/http/a?secret=1`, {
        method: "POST",
        headers: ["Content-Length", "4"],
        body: "body"
      })
      gateway.edge(edgeId).offline = true
      yield* ask({ ...gateway, cookie: gateway.strangersCookie }, `/api/edges/${edgeId}/http/b`)
      yield* eventually("a record", () => gateway.traffic.recent(edgeId).length === 1)
      const [first] = gateway.traffic.recent(edgeId)
      assert.deepInclude(first, { method: "POST", path: "/a", status: 200, cause: null, bytesOut: 4 })
      assert.isAbove(first?.bytesIn ?? 0, 100)
      assert.isAtLeast(first?.at.epochMilliseconds ?? 0, before)
      const stats = yield* gateway.traffic.stats(gateway.tenantId)
      assert.deepStrictEqual(
        stats.lastHour.map(({ requests }) => requests).reduce((a, b) => a + b, 0),
        1
      )
    }).pipe(Effect.provide(TestGateway.layer()))
  )
})
