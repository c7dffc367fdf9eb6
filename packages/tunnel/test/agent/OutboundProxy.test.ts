import { assert, describe, it } from "@effect/vitest"
import { type ProxyEnvironment, proxyFor } from "@edge-relay/tunnel/agent/OutboundProxy"

const through = (url: string, environment: ProxyEnvironment) => proxyFor(new URL(url), environment)

describe("proxyFor", () => {
  it("chooses by scheme, in either case, the lower one first", () => {
    const environment = {
      HTTPS_PROXY: "http://secure:1",
      http_proxy: "http://plain:1",
      HTTP_PROXY: "http://no:1"
    }
    assert.strictEqual(through("wss://a", environment), "http://secure:1")
    assert.strictEqual(through("ws://a", environment), "http://plain:1")
  })

  it("falls back to ALL_PROXY, and to none", () => {
    assert.strictEqual(through("wss://a", { ALL_PROXY: "http://all:1" }), "http://all:1")
    assert.isUndefined(through("wss://a", { HTTP_PROXY: "http://plain:1", HTTPS_PROXY: "" }))
  })

  it("takes an address without a scheme for http", () => {
    assert.strictEqual(through("wss://a", { HTTPS_PROXY: "proxy:3128" }), "http://proxy:3128")
  })

  it.each([
    ["*", "wss://anything"],
    ["example.com", "wss://example.com"],
    ["example.com", "wss://TUNNEL.example.com"],
    [".example.com", "wss://tunnel.example.com"],
    ["*.example.com", "wss://tunnel.example.com"],
    ["other.org, example.com", "wss://example.com"],
    ["example.com:443", "wss://example.com"],
    ["127.0.0.1", "ws://127.0.0.1:3800"],
    ["127.0.0.1:3800", "ws://127.0.0.1:3800"],
    ["::1", "ws://[::1]:3800"],
    ["[::1]:3800", "ws://[::1]:3800"]
  ])("with NO_PROXY %s goes directly to %s", (list, url) => {
    assert.isUndefined(through(url, { ALL_PROXY: "http://all:1", NO_PROXY: list }))
  })

  it.each([
    ["example.com", "wss://notexample.com"],
    ["example.com:8443", "wss://example.com"],
    ["tunnel.example.com", "wss://example.com"],
    ["", "wss://example.com"]
  ])("with NO_PROXY %s does not go directly to %s", (list, url) => {
    assert.strictEqual(through(url, { ALL_PROXY: "http://all:1", no_proxy: list }), "http://all:1")
  })
})
