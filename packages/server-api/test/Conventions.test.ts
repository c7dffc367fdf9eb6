import { assert, layer } from "@effect/vitest"
import { Array, Effect } from "effect"
import { connect } from "node:net"
import { listenScoped } from "@edge-relay/server-kit/Listening"
import { slowHead } from "@edge-relay/testkit/SlowHead"
import * as GatewayServer from "@edge-relay/gateway/GatewayServer"
import { type Answer, ask, publicUrl, TestApi } from "@edge-relay/testkit/api/TestApi"
import { within } from "@edge-relay/testkit/Within"

const problemOf = (answer: Answer) => {
  assert.match(answer.headers["content-type"] ?? "", /^application\/problem\+json/)
  // Checked by the assertions on its fields.
  return answer.json as {
    readonly status: number
    readonly code: string
    readonly requestId: string
    readonly errors?: ReadonlyArray<{ readonly path: string; readonly message: string }>
  }
}

/** What a server says to bytes that no client library would send; `then` are sent once it has said something. */
const raw = (url: string, text: string, then?: string): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(text, "latin1"))
    let received = ""
    if (then !== undefined) socket.once("data", () => socket.write(then, "latin1"))
    socket.on("data", (part) => (received += part.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(received)))
    return Effect.sync(() => socket.destroy())
  })

layer(TestApi.layer(), { excludeTestServices: true })("The API's conventions", (it) => {
  it.effect("gives every answer a request id, the caller's own where that can be logged", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const send = (id: string) => ask(`${url}/api/nothing`, { headers: { "x-request-id": id } })
      assert.strictEqual((yield* send("abc-123")).headers["x-request-id"], "abc-123")
      assert.strictEqual(problemOf(yield* send("abc-123")).requestId, "abc-123")
      for (const bad of ["a b", "x".repeat(129), "é", ""]) {
        const answer = yield* send(bad)
        assert.match(answer.headers["x-request-id"]?.toString() ?? "", /^[\w-]{36}$/)
        assert.strictEqual(problemOf(answer).requestId, answer.headers["x-request-id"])
      }
      for (const path of [
        "/",
        "/healthz",
        "/favicon.svg",
        "/openapi.json",
        "/api/edges",
        "/api/auth/login"
      ]) {
        assert.isDefined((yield* ask(url + path)).headers["x-request-id"], path)
      }
    })
  )

  it.effect("does not wait for a body that it has answered without", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      for (const line of ["POST /nothing", "POST /api/auth/logout", "GET /healthz"]) {
        const half = raw(url, `${line} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\na`)
        assert.match(yield* within(10, line, half), /^HTTP\/1\.1 /, line)
      }
      // One that comes in time leaves the connection good for the next request.
      const two = `POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na`
      const next = `GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
      assert.strictEqual(
        (yield* raw(url, two + next)).match(/HTTP\/1\.1 \d+/g)?.join(),
        "HTTP/1.1 404,HTTP/1.1 200"
      )
    })
  )

  it.effect("answers a problem for a path that there is not, and for a method that it has not", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      for (const path of [
        "/nothing",
        "/api",
        "/api/",
        "/API/edges",

        "//api/edges",
        "/api/%zz",
        "/api/edges/a/b/c"
      ]) {
        const answer = yield* ask(url + path)
        assert.strictEqual(answer.status, 404, path)
        assert.strictEqual(problemOf(answer).code, "not_found")
      }
      const answer = yield* ask(`${url}/api/edges`, { method: "POST" })
      assert.strictEqual(answer.status, 405)
      assert.strictEqual(problemOf(answer).code, "method_not_allowed")
      assert.strictEqual(answer.headers["allow"], "GET, HEAD")
      const one = yield* ask(`${url}/api/edges/edge_01h00000000000000000000000`, { method: "PUT" })
      assert.strictEqual(one.headers["allow"], "DELETE, GET, HEAD, PATCH")
      assert.strictEqual((yield* ask(`${url}/`, { method: "POST" })).headers["allow"], "GET, HEAD")
    })
  )

  it.effect("answers 401 as a problem, to a browser's address bar too", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const navigation = { accept: "text/html,*/*", "sec-fetch-mode": "navigate", "sec-fetch-site": "none" }
      const api = yield* ask(`${url}/api/edges`, { headers: navigation })
      assert.strictEqual(api.status, 401)
      assert.strictEqual(problemOf(api).code, "unauthorized")
    })
  )

  it.effect("keeps what is personal out of caches, and allows no other origin", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const { cookie } = yield* signIn("alice")
      for (const path of ["/api/edges", "/api/auth/me", "/api/audit", "/api/system/stats", "/"]) {
        const answer = yield* ask(url + path, { cookie, headers: { origin: "https://evil.example" } })
        assert.strictEqual(answer.status, 200, path)
        assert.strictEqual(answer.headers["cache-control"], "no-store", path)
        assert.isUndefined(answer.headers["access-control-allow-origin"])
      }
      const preflight = yield* ask(`${url}/api/edges`, { method: "OPTIONS", headers: { origin: publicUrl } })
      assert.strictEqual(preflight.status, 405)
      assert.isUndefined(preflight.headers["access-control-allow-origin"])
    })
  )

  it.effect("refuses what changes something and comes from another site", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const { cookie } = yield* signIn("alice")
      const post = (headers: { readonly [name: string]: string }) =>
        ask(`${url}/api/pairing/codes`, { method: "POST", cookie, headers, body: {} })
      const crossSite = yield* post({ "sec-fetch-site": "cross-site" })
      assert.strictEqual(crossSite.status, 403)
      assert.strictEqual(problemOf(crossSite).code, "cross_site")
      assert.strictEqual((yield* post({ origin: "https://evil.example" })).status, 403)
      assert.strictEqual((yield* post({ origin: publicUrl })).status, 201)
      assert.strictEqual((yield* post({})).status, 201)
    })
  )

  it.effect(
    "refuses bodies that are too large, of another type, no JSON, or JSON that readers disagree on",
    () =>
      Effect.gen(function* () {
        const { signIn, url } = yield* TestApi
        const { cookie } = yield* signIn("alice")
        const send = (body: unknown, headers: { readonly [name: string]: string } = {}) =>
          ask(`${url}/api/pairing/codes`, { method: "POST", cookie, body, headers })

        assert.strictEqual((yield* send("x".repeat(1024 * 1024 + 1))).status, 413)
        assert.strictEqual(problemOf(yield* send("x".repeat(10 * 1024 * 1024))).code, "payload_too_large")
        assert.strictEqual((yield* send("{}", { "content-type": "text/plain" })).status, 415)
        assert.strictEqual(
          problemOf(yield* send("a=b", { "content-type": "application/x-www-form-urlencoded" })).code,
          "unsupported_media_type"
        )

        const refused: ReadonlyArray<readonly [body: unknown, path: string, message: RegExp]> = [
          ["{", "", /valid JSON/],
          [Buffer.from('{"name":"\xff"}', "latin1"), "", /UTF-8/],
          ['{"name":"a","name":"b"}', "name", /twice/],
          ['{"name":"a","n\\u0061me":"b"}', "name", /twice/],
          ['{"__proto__":{"name":"a"}}', "__proto__", /not allowed/],
          [`${"[".repeat(500_000)}${"]".repeat(500_000)}`, "", /deep/],
          ['{"nmae":"a"}', "nmae", /excess/],
          ['{"name":1}', "name", /string/i],
          ['{"name":""}', "name", /length/],
          ["[]", "", /object/i],
          ["null", "", /object/i]
        ]
        for (const [body, path, message] of refused) {
          const answer = yield* send(body)
          assert.strictEqual(answer.status, 400, String(body).slice(0, 40))
          const { code, errors } = problemOf(answer)
          assert.strictEqual(code, "invalid_request")
          assert.strictEqual(errors?.[0]?.path, path)
          assert.match(errors?.[0]?.message ?? "", message)
        }
      })
  )

  it.effect("names the parameter that it does not take", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const { cookie } = yield* signIn("alice")
      for (const [query, path] of [
        ["limit=0", "limit"],
        ["limit=1e3", "limit"],
        ["limit=9".repeat(50), "limit"],
        ["limit=1&limit=2", "limit"],
        ["cursor=nonsense", "cursor"],
        ["onlin=true", "onlin"],
        ["online=maybe", "online"],
        ["__proto__=1", "__proto__"]
      ] as const) {
        const answer = yield* ask(`${url}/api/edges?${query}`, { cookie })
        assert.strictEqual(answer.status, 400, query)
        assert.strictEqual(problemOf(answer).errors?.[0]?.path, path, query)
      }
      const answer = yield* ask(`${url}/api/edges/nonsense`, { cookie })
      assert.strictEqual(problemOf(answer).errors?.[0]?.path, "edgeId")
    })
  )

  it.effect("passes 60 KiB of headers, and refuses more with 431", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const send = (size: number) => ask(`${url}/healthz`, { headers: { "x-large": "x".repeat(size) } })
      assert.strictEqual((yield* send(60 * 1024)).status, 200)
      const answer = yield* send(100 * 1024)
      assert.strictEqual(answer.status, 431)
      problemOf(answer)
      assert.strictEqual((yield* ask(`${url}/api/auth/me`, { cookie: "a=b; ".repeat(10_000) })).status, 401)
    })
  )

  it.effect("answers what no client library would send with 400, and closes", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      for (const text of [
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST /api/pairing/exchange HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n"
      ]) {
        assert.match(yield* raw(url, text), /^HTTP\/1\.1 400 /, JSON.stringify(text))
      }
    })
  )

  it.effect("refuses a host that is missing, doubled or none, wherever it is asked, with a problem", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const edge = "/api/edges/edge_01h00000000000000000000000"
      for (const path of ["/healthz", "/api/auth/me", "/nothing", `${edge}/http/`, `${edge}/system/info`]) {
        for (const headers of ["", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a@b\r\n"]) {
          for (const more of [
            "",
            "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            "Expect: 100-continue\r\n"
          ]) {
            const answer = yield* raw(
              url,
              `GET ${path} HTTP/1.1\r\n${headers}X-Request-Id: mine\r\n${more}\r\n`
            )
            assert.match(answer, /^HTTP\/1\.1 400 /, path + headers)
            assert.match(answer, /\r\nContent-Type: application\/problem\+json\r\n/i)
            assert.match(answer, /\r\nConnection: close\r\n/i)
            assert.match(answer, /\r\nX-Request-Id: /i)
            assert.strictEqual(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))).code, "bad_message")
          }
        }
      }
      assert.match(yield* raw(url, "GET /healthz HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 /)
      assert.match(yield* raw(url, "GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"), / 200 /)
    })
  )

  it.effect("takes a target in absolute form for the path in it, and gets by no check with it", () =>
    Effect.gen(function* () {
      const { edges, signIn, url } = yield* TestApi
      const { cookie, tenantId } = yield* signIn("alice")
      const { cookie: stranger } = yield* signIn("mallory")
      const { id } = yield* edges.create(tenantId, { name: "box" })
      const send = (line: string, headers = "", who = cookie) =>
        Effect.map(
          raw(
            url,
            `${line} HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\nCookie: ${who}\r\n${headers}\r\n`
          ),
          (answer) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])
        )
      const edge = `/api/edges/${id}/http/`
      for (const host of [publicUrl, "http://a", "HTTP://a:80", "https://[::1]:443", "http://other.test"]) {
        assert.strictEqual(yield* send(`GET ${host}/healthz`), 200, host)
        assert.strictEqual(yield* send(`GET ${host}/api/auth/me`, "", "a=b"), 401, host)
        assert.strictEqual(yield* send(`GET ${host}/api/auth/me?slide=false`), 200, host)
        // It has no tunnel: the gateway has taken the request for one to that edge.
        assert.strictEqual(yield* send(`GET ${host}${edge}`), 503, host)
        assert.strictEqual(yield* send(`GET ${host}${edge}`, "", stranger), 404, host)
        assert.strictEqual(yield* send(`GET ${host}${edge}`, "", "a=b"), 401, host)
        assert.strictEqual(yield* send(`POST ${host}${edge}`, "Origin: http://a\r\n"), 403, host)
        assert.strictEqual(yield* send(`POST ${host}${edge}`, `Origin: ${publicUrl}\r\n`), 503, host)
        const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        assert.strictEqual(yield* send(`GET ${host}${edge}`, `${upgrade}Origin: http://a\r\n`), 403, host)
        assert.strictEqual(yield* send(`GET ${host}${edge}`, upgrade), 503, host)
      }
      assert.isTrue([200, 302].includes(yield* send("GET http://a")))
      assert.isTrue([200, 302].includes(yield* send("GET http://a?b=c")))
      for (const target of [
        "http://user@a/healthz",
        "http://a b/healthz",
        "http:///healthz",
        "ftp://a/healthz"
      ]) {
        assert.strictEqual(yield* send(`GET ${target}`), 400, target)
      }
      for (const target of ["http://a:b/healthz", "http://a#/healthz", "http:/healthz", "healthz"]) {
        assert.strictEqual(yield* send(`GET ${target}`), 400, target)
      }
    })
  )

  it.effect("ends a head that does not come, on the internal port too", () =>
    Effect.gen(function* () {
      const { internalUrl } = yield* TestApi
      assert.match(yield* slowHead(Number(new URL(internalUrl).port)), /^HTTP\/1\.1 408 /)
      // The public port's time is half a minute: a shorter one here, with all else as it is.
      const nothing = { handle: () => false, isFor: () => false, upgrade: () => false }
      const server = GatewayServer.create(nothing, () => undefined, { headersTimeout: 100 })
      const port = yield* listenScoped(server, "127.0.0.1", 0, "PORT")
      assert.match(yield* slowHead(port), /^HTTP\/1\.1 408 /)
    }).pipe(Effect.scoped)
  )

  it.effect("lets nobody change things ten times a second, and anybody read", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const busy = yield* signIn("a script")
      const edge = `${url}/api/edges/edge_01h00000000000000000000000`
      const change = (cookie: string) => ask(`${edge}/disconnect`, { method: "POST", cookie })
      const answers = yield* Effect.forEach(Array.range(1, 600), () => change(busy.cookie), {
        concurrency: 20
      })
      assert.isTrue(answers.every(({ status }) => status === 404))
      const refused = yield* change(busy.cookie)
      assert.strictEqual(refused.status, 429)
      assert.strictEqual(problemOf(refused).code, "too_many_requests")
      assert.isAtLeast(Number(refused.headers["retry-after"]), 1)
      // By whatever endpoint; and a body is not read for that.
      const large = { method: "PATCH", cookie: busy.cookie, body: "x".repeat(2 * 1024 * 1024) }
      assert.strictEqual((yield* ask(edge, large)).status, 429)
      assert.strictEqual((yield* ask(`${url}/api/edges`, { cookie: busy.cookie })).status, 200)
      assert.strictEqual((yield* change((yield* signIn("bob")).cookie)).status, 404)
    })
  )

  it.effect("answers a request once, though its body cannot be understood", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const { cookie } = yield* signIn("alice")
      const paths = ["/nothing", "/healthz", "/api/edges", "/api/pairing/exchange", "/api/edges/x/http/"]
      for (const path of [...paths, "/api/pairing/codes"]) {
        const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\nContent-Type: application/json\r\n`
        for (const [first, then] of [
          ["Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
          ["Transfer-Encoding: chunked, x\r\n\r\n"],
          ["Transfer-Encoding: chunked\r\n\r\nzz\r\n"],
          ["Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", "zz\r\n"]
        ] as const) {
          const answers = yield* raw(url, `${head}${first}`, then)
          const statuses = answers.match(/HTTP\/1\.1 (?!100)\d+/g) ?? []
          assert.lengthOf(statuses, 1, `${path} ${first} ${answers}`)
          assert.match(answers, /\r\nX-Request-Id: /i)
        }
      }
      // The answer came first, the rest of the body behind it.
      const late = yield* raw(
        url,
        "POST /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
        "zz\r\n"
      )
      assert.deepStrictEqual(late.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 404"])
    })
  )

  it.effect("puts no other answer into one that is under way", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const { cookie } = yield* signIn("alice")
      const head = `GET /api/edges/events HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`
      const answer = yield* raw(url, head, "nonsense\r\n\r\n")
      assert.deepStrictEqual(answer.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 200"])
    })
  )

  it.effect("answers what it cannot be expected to do with a problem", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      for (const path of ["/healthz", "/api/edges/edge_01h00000000000000000000000/http/"]) {
        const answer = yield* ask(url + path, { headers: { expect: "a-miracle", "x-request-id": "mine" } })
        assert.strictEqual(answer.status, 417, path)
        assert.strictEqual(problemOf(answer).code, "expectation_failed")
        assert.strictEqual(problemOf(answer).requestId, "mine")
        assert.strictEqual(answer.headers["x-request-id"], "mine")
      }
    })
  )

  it.effect("answers HEAD like GET, without the body", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const answer = yield* ask(`${url}/healthz`, { method: "HEAD" })
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.body, "")
    })
  )

  it.effect("answers an upgrade that nobody takes up as if it were not asked for", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const answer = yield* raw(
        url,
        "GET /api/edges HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
      )
      assert.match(answer, /^HTTP\/1\.1 401 /)
    })
  )
})
