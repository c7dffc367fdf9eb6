import { Random } from "@edge-relay/testkit/Random"
import { assert, describe, it } from "@effect/vitest"
import bufferUtil from "bufferutil"
import * as portable from "../../src/websocket/PortableMasking.ts"

describe("PortableMasking", () => {
  it("writes what bufferutil writes, whatever the lengths and where in memory they begin", () => {
    const random = new Random(1)
    for (let round = 0; round < 2_000; round++) {
      const length = random.below(round % 10 === 0 ? 5_000 : 300)
      const source = random.bytes(length + 8).subarray(random.below(8))
      const key = random.bytes(4)
      const at = random.below(16)
      const expected = Buffer.alloc(length + 32, 0xee)
      const found = Buffer.from(expected)
      bufferUtil.mask(source, key, expected, at, length)
      portable.mask(source, key, found, at, length)
      assert.strictEqual(found.toString("hex"), expected.toString("hex"), `round ${round}`)

      const part = found.subarray(random.below(8))
      const copy = Buffer.from(part)
      bufferUtil.unmask(copy, key)
      portable.unmask(part, key)
      assert.strictEqual(part.toString("hex"), copy.toString("hex"), `round ${round}`)
    }
  })
})
