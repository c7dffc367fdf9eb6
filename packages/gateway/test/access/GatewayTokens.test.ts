import * as EdgeHost from "@edge-relay/domain/edges/EdgeHost"
import { within } from "@edge-relay/testkit/Within"
import {
  type Ask,
  ask,
  code,
  eventually,
  httpOrigin,
  sendRaw,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Option } from "effect"

const edgeDomain = "edges.test:3721"
const layer = TestGateway.layer({ edgeDomain })

/** An edge that remembers the headers it was sent. */
const setup = Effect.gen(function* () {
  const gateway = yield* TestGateway
  const seen: Array<ReadonlyArray<string>> = []
  const port = yield* httpOrigin((request, response) => {
    seen.push(request.rawHeaders)
    if (request.url === "/stream") response.write("begun")
    else response.end("ok")
  })
  const edgeId = yield* gateway.addEdge(port)
  const path = `/api/edges/${edgeId}/http/`
  const host = Option.getOrElse(EdgeHost.of(edgeDomain, { edgeId, service: "http" }), () => "")
  const nobody = { port: gateway.port, cookie: "" }
  const by = (text: string, path: string, { headers = [], ...rest }: Ask = {}) =>
    ask(nobody, path, { headers: ["Authorization", `Bearer ${text}`, ...headers], ...rest })
  return { gateway, edgeId, path, host, nobody, by, seen }
})

describe("Gateway, tokens", () => {
  it.live("let a script through on our origin and on the edge's host, and go no further", () =>
    Effect.gen(function* () {
      const { by, gateway, host, path, seen } = yield* setup
      const { text } = yield* gateway.addToken()
      for (const answer of [yield* by(text, path), yield* by(text, "/a", { host })]) {
        assert.strictEqual(answer.status, 200)
      }
      for (const headers of seen) {
        assert.notInclude(headers.join("\n"), text)
        assert.notInclude(
          headers.map((name) => name.toLowerCase()),
          "authorization"
        )
        assert.strictEqual(headers[headers.indexOf("X-Edge-User") + 1], gateway.userId)
      }
      assert.strictEqual(seen.length, 2)
    }).pipe(Effect.provide(layer))
  )

  it.live("leave an edge's own credentials to it on its host", () =>
    Effect.gen(function* () {
      const { by, gateway, host, nobody, seen } = yield* setup
      const { text } = yield* gateway.addToken()
      // Two headers: ours is taken, the edge's goes on.
      const both = yield* by(text, "/", { host, headers: ["Authorization", "Basic YTpi"] })
      assert.strictEqual(both.status, 200)
      assert.strictEqual(seen[0]?.[seen[0].indexOf("Authorization") + 1], "Basic YTpi")
      const own = yield* ask(nobody, "/", { host, headers: ["Authorization", "Bearer own"] })
      assert.strictEqual(own.status, 401)
    }).pipe(Effect.provide(layer))
  )

  it.live("are not held to the rules on cookies: no site, no origin", () =>
    Effect.gen(function* () {
      const { by, gateway, host, path } = yield* setup
      const { text } = yield* gateway.addToken()
      const foreign = ["Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"]
      for (const options of [{}, { host }]) {
        const answer = yield* by(text, path, { method: "POST", headers: foreign, body: "x", ...options })
        assert.strictEqual(answer.status, 200)
      }
      const byCookie = yield* ask(gateway, path, { method: "POST", headers: foreign, body: "x" })
      assert.strictEqual(byCookie.status, 403)
    }).pipe(Effect.provide(layer))
  )

  it.live("that are wrong are refused, whatever cookie comes with them, and nobody is sent to sign in", () =>
    Effect.gen(function* () {
      const { gateway, host, path, seen } = yield* setup
      const { text } = yield* gateway.addToken()
      const wrong = [`${text}x`, text.slice(0, -1), "erp_"]
      for (const sent of [...wrong, text.replace("erp_", "erp_0").slice(0, 53)]) {
        const headers = [
          "Authorization",
          `Bearer ${sent}`,
          "Accept",
          "text/html",
          "Sec-Fetch-Mode",
          "navigate"
        ]
        for (const options of [{ headers }, { headers, host }]) {
          const answer = yield* ask(gateway, path, options)
          assert.strictEqual(answer.status, 401)
          assert.isUndefined(answer.headers.location)
        }
      }
      const twice = ["Authorization", `Bearer ${text}`, "Authorization", `Bearer ${text}`]
      assert.strictEqual((yield* ask(gateway, path, { headers: twice })).status, 401)
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.provide(layer))
  )

  it.live("need the scope, and say so", () =>
    Effect.gen(function* () {
      const { by, gateway, path, seen } = yield* setup
      const { text } = yield* gateway.addToken({ scopes: ["edges:read", "forward"] })
      const answer = yield* by(text, path)
      assert.deepStrictEqual([answer.status, code(answer)], [403, "insufficient_scope"])
      assert.strictEqual(answer.headers["www-authenticate"], 'Bearer error="insufficient_scope"')
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.provide(layer))
  )

  it.live("for some edges find no other one, by id and by label", () =>
    Effect.gen(function* () {
      const { by, edgeId, gateway, path } = yield* setup
      const other = yield* gateway.addEdge(yield* httpOrigin((_, response) => response.end("other")))
      const otherPath = `/api/edges/${other}/http/`
      const byId = yield* gateway.addToken({ reach: { ids: [edgeId], labels: [] } })
      const byLabel = yield* gateway.addToken({ reach: { ids: [], labels: ["ci"] } })
      assert.strictEqual((yield* by(byId.text, path)).status, 200)
      // Known to be the tenant's by the one that it is for.
      assert.strictEqual((yield* ask(gateway, otherPath)).status, 200)
      const refused = yield* by(byId.text, otherPath)
      assert.deepStrictEqual([refused.status, code(refused)], [404, "edge_not_found"])
      assert.strictEqual((yield* by(byLabel.text, path)).status, 404)
      yield* gateway.setLabels(edgeId, ["ci"])
      yield* Effect.sleep("600 millis")
      assert.strictEqual((yield* by(byLabel.text, path)).status, 200)
      assert.strictEqual((yield* by(byLabel.text, otherPath)).status, 404)
    }).pipe(Effect.provide(layer))
  )

  it.live("that are revoked end what is under way within a second", () =>
    Effect.gen(function* () {
      const { by, gateway, path } = yield* setup
      const { revoke, text } = yield* gateway.addToken()
      let received = ""
      const streaming = yield* Effect.forkChild(
        sendRaw(
          gateway.port,
          `GET ${path}stream HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${text}\r\n\r\n`,
          (all) => {
            received = all
            return false
          }
        )
      )
      yield* eventually("a stream", () => received.includes("begun"))
      yield* revoke
      yield* within(1, "the cut", Fiber.join(streaming))
      assert.strictEqual((yield* by(text, path)).status, 401)
    }).pipe(Effect.provide(layer))
  )

  it.live("that expire end what is under way within a second", () =>
    Effect.gen(function* () {
      const { gateway, path } = yield* setup
      const { text } = yield* gateway.addToken({
        expiresAt: DateTime.add(yield* DateTime.now, { seconds: 2 })
      })
      const received = yield* within(
        4,
        "the cut",
        sendRaw(
          gateway.port,
          `GET ${path}stream HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${text}\r\n\r\n`
        )
      )
      assert.match(received, /^HTTP\/1\.1 200 /)
      assert.notInclude(received, "0\r\n\r\n")
    }).pipe(Effect.provide(layer))
  )
})
