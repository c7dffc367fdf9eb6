import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger } from "effect"
import { clientAddress, ClientAddress } from "../src/ClientAddress.ts"

describe("clientAddress", () => {
  const of = (trusted: ReadonlyArray<string>, peer: string, forwarded?: string) =>
    clientAddress({ trusted, header: "x-forwarded-for" }, () => {})(
      peer,
      forwarded === undefined ? {} : { "x-forwarded-for": forwarded }
    )

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

  it("is read with ports, brackets, quotes and zones", () => {
    for (const [written, address] of [
      ["203.0.113.9:4711", "203.0.113.9"],
      ["198.51.100.1:1, 203.0.113.9:65535", "203.0.113.9"],
      ["[2001:db8::5]", "2001:db8::5"],
      ["[2001:db8::5]:4711", "2001:db8::5"],
      ['"[2001:db8::5]:4711"', "2001:db8::5"],
      ["2001:db8::5", "2001:db8::5"],
      ["fe80::1%eth0", "fe80::1"],
      ["::ffff:203.0.113.9", "203.0.113.9"],
      ["[::ffff:203.0.113.9]:4711", "203.0.113.9"]
    ] as const) {
      assert.strictEqual(of(["10.0.0.1"], "10.0.0.1", written), address, written)
    }
  })

  it("of a trusted proxy is read past its own port", () => {
    assert.strictEqual(of(["10.0.0.0/8"], "10.0.0.1", "203.0.113.5:9, 10.0.0.2:4711"), "203.0.113.5")
  })

  it("is read from RFC 7239's header where that one counts, and from no other", () => {
    const rfc7239 = (forwarded: string) =>
      clientAddress({ trusted: ["10.0.0.0/8"], header: "forwarded" }, () => {})("10.0.0.1", {
        forwarded,
        "x-forwarded-for": "1.1.1.1"
      })
    for (const [written, address] of [
      ["for=203.0.113.9", "203.0.113.9"],
      ['For="203.0.113.9:4711";proto=https;by=10.0.0.1', "203.0.113.9"],
      ['proto=https; for="[2001:db8::5]:4711" ', "2001:db8::5"],
      ['for=1.1.1.1, for="203.0.113.9", for=10.0.0.2;host="a,b;for=2.2.2.2"', "203.0.113.9"],
      ["for=203.0.113.9, by=10.0.0.2", "10.0.0.1"],
      ["for=unknown", "10.0.0.1"],
      ["for=_hidden", "10.0.0.1"],
      ['for="203.0.113.9', "10.0.0.1"]
    ] as const) {
      assert.strictEqual(rfc7239(written), address, written)
    }
    const other = clientAddress({ trusted: ["10.0.0.0/8"], header: "x-forwarded-for" }, () => {})
    assert.strictEqual(other("10.0.0.1", { forwarded: "for=203.0.113.9" }), "10.0.0.1")
  })

  it.effect("tells once what it cannot read, and nothing where there is no header", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.layer([Logger.map(Logger.formatJson, (line) => lines.push(line))])
      const built = yield* Layer.build(
        ClientAddress.layer({ trusted: ["10.0.0.1"], header: "x-forwarded-for" })
      ).pipe(Effect.provide(logger))
      const { of } = Context.get(built, ClientAddress)
      of("10.0.0.1", {})
      of("10.0.0.1", { "x-forwarded-for": "203.0.113.9:4711" })
      of("192.0.2.1", { "x-forwarded-for": "nonsense" })
      yield* Effect.yieldNow
      assert.deepStrictEqual(lines, [])
      for (let index = 0; index < 5; index++) of("10.0.0.1", { "x-forwarded-for": `nonsense-${index}` })
      yield* Effect.yieldNow
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "nonsense-0")
    })
  )
})
