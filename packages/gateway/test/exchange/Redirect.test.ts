import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { withoutStrayLocation } from "../../src/exchange/Redirect.ts"
import { ask, scriptedOrigin, TestGateway } from "@edge-relay/testkit/gateway/TestGateway"

const edge = "/api/edges/edge_01m864vqbqe8g8fx5t8kmbgx8y"
const other = "/api/edges/edge_01m864tt5zevmb8w8hbcdpvg11"

const locationOf = (location: string, status: number, method: string, url = `${edge}/http/a/b`) =>
  withoutStrayLocation(["A", "b", "LOCATION", location], status, method, url)[3]

describe("Redirect", () => {
  it.each([
    ["POST", 307],
    ["POST", 308],
    ["PUT", 301],
    ["DELETE", 302]
  ] as const)("leads a repeated request, %s after %i, to the edge alone", (method, status) => {
    for (const location of ["c", "./c?d#e", "../c", "", `${edge}/http/c`, `${edge}/http`]) {
      assert.strictEqual(locationOf(location, status, method), location, location)
    }
    for (const location of [
      "/",
      "/api/pairing/codes",
      "/api/auth/sessions",
      other,
      `${other}/http/`,
      edge,
      `${edge}/token/rotate`,
      "../../../../auth/logout",
      "../../%2e%2e/token/rotate",
      "../../.%2E/disconnect",
      ".\t./../../disconnect",
      "..\\..\\..\\disconnect",
      `${edge}/http/../disconnect`,
      "//relay.test/api/auth/logout",
      "\\\\relay.test/api/auth/logout",
      "http:/api/auth/logout",
      "https://relay.test:3721/api/auth/logout",
      "http://[",
      "javascript:alert(1)"
    ]) {
      assert.isUndefined(locationOf(location, status, method), location)
    }
  })

  it("passes on what becomes a GET, what is one, and what is no redirect", () => {
    assert.strictEqual(locationOf("/login", 302, "GET"), "/login")
    assert.strictEqual(locationOf("/login", 307, "GET"), "/login")
    assert.strictEqual(locationOf("/login", 302, "POST"), "/login")
    assert.strictEqual(locationOf("/login", 303, "DELETE"), "/login")
    assert.strictEqual(locationOf("/things/1", 201, "POST"), "/things/1")
  })

  it("knows what of the edge API is the edge's", () => {
    const url = `${edge}/media/m1`
    assert.strictEqual(locationOf("m2", 307, "DELETE", url), "m2")
    assert.isUndefined(locationOf(edge, 307, "DELETE", url))
  })

  it.live("takes the way out of an answer that would have our page act elsewhere", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const answer = `HTTP/1.1 307 T\r\nLocation: /api/pairing/codes\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi`
      const edgeId = yield* gateway.addEdge(yield* scriptedOrigin(answer))
      const { status, headers, body } = yield* ask(gateway, `/api/edges/${edgeId}/http/x`, { method: "POST" })
      assert.deepStrictEqual(
        [status, headers.location, headers["x-a"], String(body)],
        [307, undefined, "b", "hi"]
      )
    }).pipe(Effect.provide(TestGateway.layer()))
  )
})
