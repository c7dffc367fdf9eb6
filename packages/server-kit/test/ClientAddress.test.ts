import { assert, describe, it } from "@effect/vitest"
import { clientAddress } from "../src/ClientAddress.ts"

describe("clientAddress", () => {
  const of = (trusted: ReadonlyArray<string>, peer: string, forwarded?: string) =>
    clientAddress(trusted)(peer, forwarded === undefined ? {} : { "x-forwarded-for": forwarded })

  it("is the socket's own where no proxy is trusted, whatever a header says", () => {
    assert.strictEqual(of([], "192.0.2.1", "10.0.0.1"), "192.0.2.1")
    assert.strictEqual(of([], "::ffff:192.0.2.1"), "192.0.2.1")
    assert.strictEqual(of(["10.0.0.0/8"], "192.0.2.1", "203.0.113.5"), "192.0.2.1")
  })

  it("is what the nearest trusted proxy wrote, and nothing that stood there before", () => {
    assert.strictEqual(of(["10.0.0.0/8"], "10.0.0.1", "203.0.113.5"), "203.0.113.5")
    assert.strictEqual(of(["10.0.0.0/8"], "10.0.0.1", "1.1.1.1, 203.0.113.5"), "203.0.113.5")
    assert.strictEqual(of(["10.0.0.0/8"], "10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2"), "203.0.113.5")
    assert.strictEqual(of(["10.0.0.1"], "10.0.0.1", "203.0.113.5, 10.0.0.2"), "10.0.0.2")
    assert.strictEqual(of(["fd00::/8"], "fd00::1", "2001:db8::5"), "2001:db8::5")
  })

  it("is the proxy's where that wrote nothing that is an address", () => {
    for (const forwarded of ["", "unknown", "203.0.113.5, nonsense", ",,,", " "]) {
      assert.strictEqual(of(["10.0.0.1"], "10.0.0.1", forwarded), "10.0.0.1", forwarded)
    }
    assert.strictEqual(of(["10.0.0.1"], "10.0.0.1"), "10.0.0.1")
  })

  it("reads a header of a thousand addresses in bounded steps", () => {
    const forwarded = Array.from({ length: 1000 }, () => "10.0.0.1").join(", ")
    assert.strictEqual(of(["10.0.0.1"], "10.0.0.1", `203.0.113.5, ${forwarded}`), "10.0.0.1")
  })
})
