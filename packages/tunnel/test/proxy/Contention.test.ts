import { assert, describe, it } from "@effect/vitest"
import { Contention, defaultContention } from "@edge-relay/tunnel/proxy/Contention"
import { tokenOf } from "@edge-relay/testkit/TestTokens"

const token = tokenOf(1)
const { tokenId } = token

/** Five displacements, a second apart, the last at 4,000. */
const fought = () => {
  const contention = new Contention(defaultContention)
  const contended = [0, 1_000, 2_000, 3_000, 4_000].map((now) => contention.displaced(token, undefined, now))
  return { contention, contended }
}

describe("Contention", () => {
  it("begins with the fifth displacement inside a minute, and says so once", () => {
    const { contention, contended } = fought()
    assert.deepStrictEqual(contended, [false, false, false, false, true])
    assert.isFalse(contention.displaced(token, undefined, 5_000))
    assert.deepStrictEqual(contention.contended, [token])
  })

  it("does not take five in an hour for a fight", () => {
    const contention = new Contention(defaultContention)
    for (let count = 0; count < 20; count++)
      assert.isFalse(contention.displaced(token, undefined, count * 15_001))
    assert.strictEqual(contention.delayMillis(tokenId, 300_000), 0)
  })

  it("puts each further connection off for twice as long, to five minutes", () => {
    const { contention } = fought()
    const delays = Array.from({ length: 8 }, (_, tries) => contention.delayMillis(tokenId, 5_000 + tries))
    assert.deepStrictEqual(delays, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000])
    assert.strictEqual(contention.delayMillis(tokenOf(2).tokenId, 5_000), 0)
  })

  it("is over when nobody has come for five minutes, though they might", () => {
    const { contention } = fought()
    // Put off until 15,000.
    contention.delayMillis(tokenId, 10_000)
    assert.deepStrictEqual(contention.settle(314_999), [])
    // Put off by twice as much: until 324,999.
    assert.isAbove(contention.delayMillis(tokenId, 314_999), 0)
    assert.isAbove(contention.delayMillis(tokenId, 324_998), 0)
    assert.deepStrictEqual(contention.settle(600_000), [])
    assert.strictEqual(contention.delayMillis(tokenId, 700_000), 0)
    assert.deepStrictEqual(contention.settle(700_000), [token])
    assert.deepStrictEqual(contention.contended, [])
    assert.deepStrictEqual(contention.settle(700_000), [])
  })

  /** Each displaces the one before it, 90 s later: what an agent of ours waits at most when it was displaced. */
  const slowly = (...instances: ReadonlyArray<string>) => {
    const contention = new Contention(defaultContention)
    return instances.map((instanceId, index) => {
      const now = index * 90_000
      contention.settle(now)
      return contention.displaced(token, instanceId, now)
    })
  }

  it("is seen between two agents however slow they take turns", () => {
    assert.deepStrictEqual(slowly("b", "a", "b", "a"), [false, false, false, true])
    assert.deepStrictEqual(slowly("b", "a", "b", "c", "a"), [false, false, false, false, true])
  })

  it("is not seen in one agent that loses its connection, is restarted or has moved", () => {
    assert.notInclude(slowly("a", "a", "a", "a", "a", "a"), true)
    assert.notInclude(slowly(...Array.from({ length: 40 }, (_, start) => `start ${start}`)), true)
    assert.notInclude(slowly("b", "a", "b", "b", "b"), true)
  })

  it("goes on while both keep coming at the longest delay", () => {
    const contention = new Contention(defaultContention)
    for (const [index, one] of ["b", "a", "b", "a"].entries())
      contention.displaced(token, one, index * 90_000)
    let now = 270_000
    for (let tries = 0; tries < 20; tries++) {
      now += 1_000
      assert.deepStrictEqual(contention.settle(now), [])
      const delay = contention.delayMillis(tokenId, now)
      assert.isAbove(delay, 0)
      now += delay
    }
  })
})
