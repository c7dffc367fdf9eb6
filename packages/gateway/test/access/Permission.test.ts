import { pathOf } from "@edge-relay/protocol/ServiceStream"
import { ask, code, httpOrigin, sendRaw, TestGateway } from "@edge-relay/testkit/gateway/TestGateway"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

/** What becomes of each kind of request, for somebody of that role. */
const setup = Effect.fnUntraced(function* (role: "viewer" | "operator" | "admin") {
  const gateway = yield* TestGateway
  const edgeId = yield* gateway.addEdge(yield* httpOrigin((_, response) => response.end("ok")))
  const { cookie } = yield* gateway.signIn(() => ({ role }))
  const me = { port: gateway.port, cookie }
  const path = `/api/edges/${edgeId}/http/`
  const token = yield* gateway.addToken({ role, scopes: ["gateway", "forward"] })
  const upgrade = (path: string, protocol: string) =>
    Effect.map(
      sendRaw(
        gateway.port,
        `GET ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`,
        (all) => all.includes("\r\n\r\n")
      ),
      (answer) => Number(answer.split(" ")[1])
    )
  const status = (method: string) => Effect.map(ask(me, path, { method }), ({ status }) => status)
  return { edgeId, me, path, status, token, upgrade }
})

describe("Gateway, roles", () => {
  it.live("let a viewer look, and change nothing", () =>
    Effect.gen(function* () {
      const { edgeId, me, path, status, token, upgrade } = yield* setup("viewer")
      for (const method of ["GET", "HEAD", "OPTIONS"]) assert.strictEqual(yield* status(method), 200, method)
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        assert.strictEqual(yield* status(method), 403, method)
      }
      assert.strictEqual(code(yield* ask(me, path, { method: "POST" })), "forbidden")
      assert.strictEqual(yield* upgrade(path, "websocket"), 403)
      assert.strictEqual(yield* upgrade(pathOf(edgeId, "ssh"), "edge-relay-stream"), 403)
      const byToken = yield* ask({ ...me, cookie: "" }, path, {
        method: "POST",
        headers: ["Authorization", `Bearer ${token.text}`]
      })
      assert.deepStrictEqual([byToken.status, code(byToken)], [403, "forbidden"])
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("let an operator work", () =>
    Effect.gen(function* () {
      const { edgeId, status, upgrade } = yield* setup("operator")
      for (const method of ["GET", "POST", "PUT", "DELETE"])
        assert.strictEqual(yield* status(method), 200, method)
      assert.strictEqual(yield* upgrade(pathOf(edgeId, "ssh"), "edge-relay-stream"), 101)
    }).pipe(Effect.provide(TestGateway.layer()))
  )
})
