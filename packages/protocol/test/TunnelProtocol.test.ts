import { assert, describe, it } from "@effect/vitest"
import {
  decodeRefusal,
  encodeConnected,
  encodePreface,
  encodeRefusal
} from "@edge-relay/protocol/TunnelProtocol"

describe("the preface", () => {
  it("is a big-endian 16-bit length and a name in UTF-8", () => {
    assert.strictEqual(encodePreface("http").toString("hex"), "000468747470")
    assert.strictEqual(encodePreface("é").toString("hex"), "0002c3a9")
    assert.strictEqual(encodePreface("").toString("hex"), "0000")
  })
})

describe("the status", () => {
  it("is one byte where the service is connected", () => {
    assert.strictEqual(encodeConnected().toString("hex"), "00")
  })

  it("is a byte, a length and a reason where it is not", () => {
    assert.strictEqual(encodeRefusal("refused", "no").toString("hex"), "0100026e6f")
    assert.strictEqual(encodeRefusal("busy", "").toString("hex"), "040000")
  })

  it("is decoded once it is all there", () => {
    for (const refusal of ["refused", "unreachable", "noSuchService", "busy"] as const) {
      const encoded = encodeRefusal(refusal, "reason")
      for (let size = 0; size < encoded.length; size++) {
        assert.isUndefined(decodeRefusal(encoded.subarray(0, size)))
      }
      assert.deepStrictEqual(decodeRefusal(encoded), { refusal, reason: "reason" })
    }
  })

  it("is told apart where it is none that the protocol has", () => {
    assert.strictEqual(decodeRefusal(Buffer.from([5]))?.refusal, "unknown")
  })
})
