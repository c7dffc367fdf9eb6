import { assert, describe, it } from "@effect/vitest"
import { Contention, defaultContention } from "@edge-relay/tunnel/proxy/Contention"
import { tokenOf } from "@edge-relay/testkit/TestTokens"

const token = tokenOf(1)
const { tokenId } = token

/** Five displacements, a second apart, the last at 4,000. */
const fought = () => {
  const contention = new Contention(defaultContention)
  const contended = [0, 1_000, 2_000, 3_000, 4_000].map((now) => contention.displaced(token, now))
  return { contention, contended }
}

describe("Contention", () => {
  it("begins with the fifth displacement inside a minute, and says so once", () => {
    const { contention, contended } = fought()
    assert.deepStrictEqual(contended, [false, false, false, false, true])
    assert.isFalse(contention.displaced(token, 5_000))
    assert.deepStrictEqual(contention.contended, [token])
  })

  it("does not take five in an hour for a fight", () => {
    const contention = new Contention(defaultContention)
    for (let count = 0; count < 20; count++) assert.isFalse(contention.displaced(token, count * 15_001))
    assert.strictEqual(contention.delayMillis(tokenId, 300_000), 0)
  })

  it("puts each further connection off for twice as long, to five minutes", () => {
    const { contention } = fought()
    const delays = Array.from({ length: 8 }, (_, tries) => contention.delayMillis(tokenId, 5_000 + tries))
    assert.deepStrictEqual(delays, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000])
    assert.strictEqual(contention.delayMillis(tokenOf(2).tokenId, 5_000), 0)
  })

  it("is over when nobody has tried for a minute", () => {
    const { contention } = fought()
    contention.delayMillis(tokenId, 10_000)
    assert.deepStrictEqual(contention.settle(69_999), [])
    assert.isAbove(contention.delayMillis(tokenId, 69_999), 0)
    assert.strictEqual(contention.delayMillis(tokenId, 129_999), 0)
    assert.deepStrictEqual(contention.settle(129_999), [token])
    assert.deepStrictEqual(contention.contended, [])
    assert.deepStrictEqual(contention.settle(129_999), [])
  })
})
