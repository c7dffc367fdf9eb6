import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as EdgeDomain from "../src/EdgeDomain.ts"

describe("EDGE_DOMAIN", () => {
  it.each([
    ["edges.example.net", "https://relay.example.com", undefined],
    ["edges.example.com", "https://relay.example.com", undefined],
    ["edges.localhost:3721", "http://localhost:3721", undefined],
    ["relay.example.com", "https://relay.example.com", "own host"],
    ["relay.example.com:8443", "https://relay.example.com", "own host"],
    ["example.com", "https://relay.example.com", "parent"],
    ["edges.relay.example.com", "https://relay.example.com", "inside"],
    ["edges.example.com", "https://example.com", "inside"]
  ])("%s beside %s", (domain, publicUrl, problem) => {
    const found = EdgeDomain.conflict(domain, new URL(publicUrl))
    if (problem === undefined) assert.isUndefined(found)
    else assert.include(found, problem)
  })

  it.each([
    "https://edges.example.net",
    "edges.example.net/",
    "*.example.net",
    "10.0.0.1",
    "a_b.net",
    ".net"
  ])("is not %s", (text) => assert.isTrue(Result.isFailure(EdgeDomain.parse(text))))

  it("is lower case, and has a port where browsers need one", () => {
    assert.deepStrictEqual(
      EdgeDomain.parse("Edges.Example.NET:8443"),
      Result.succeed("edges.example.net:8443")
    )
    assert.strictEqual(EdgeDomain.onLoopback(new URL("http://localhost:3721")), "edges.localhost:3721")
    assert.isUndefined(EdgeDomain.onLoopback(new URL("https://relay.example.com")))
  })
})
