import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { type Beating, Heartbeats } from "../../src/proxy/Heartbeats.ts"

const PERIOD = 15_000

class Heart implements Beating {
  dueWith: Set<Beating> | undefined = undefined
  readonly at: Array<number> = []

  beat(): void {
    this.at.push(performance.now())
  }
}

describe("Heartbeats", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] }))
  afterEach(() => {
    vi.restoreAllMocks()
    vi.useRealTimers()
  })

  it("beats each by its period, give or take a tenth, and all of them out of step", () => {
    const heartbeats = new Heartbeats(PERIOD, Math.random)
    const hearts = Array.from({ length: 1_000 }, () => new Heart())
    const startedAt = performance.now()
    for (const heart of hearts) heartbeats.add(heart)
    vi.advanceTimersByTime(10 * PERIOD)
    for (const { at } of hearts) {
      const gaps = at.map((time, index) => time - (at[index - 1] ?? startedAt))
      assert.isAtLeast(gaps.length, 9)
      for (const gap of gaps) {
        assert.isAtLeast(gap, 0.9 * PERIOD - 100)
        assert.isAtMost(gap, 1.1 * PERIOD + 100)
      }
    }
    const turns = new Map<number, number>()
    for (const at of hearts.flatMap((heart) => heart.at)) turns.set(at, (turns.get(at) ?? 0) + 1)
    assert.isAbove(turns.size, 500)
    assert.isBelow(Math.max(...turns.values()), 100)
  })

  it("has no timer before the first and after the last", () => {
    const heartbeats = new Heartbeats(PERIOD, () => 0.5)
    const [one, other] = [new Heart(), new Heart()]
    assert.strictEqual(vi.getTimerCount(), 0)
    heartbeats.add(one)
    heartbeats.add(other)
    assert.strictEqual(vi.getTimerCount(), 1)
    heartbeats.remove(one)
    heartbeats.remove(one)
    vi.advanceTimersByTime(PERIOD + 100)
    assert.strictEqual(one.at.length, 0)
    assert.strictEqual(other.at.length, 1)
    heartbeats.remove(other)
    assert.strictEqual(vi.getTimerCount(), 0)
    heartbeats.add(one)
    vi.advanceTimersByTime(PERIOD + 100)
    assert.strictEqual(one.at.length, 1)
  })

  it("may have one removed by another one's beat", () => {
    const heartbeats = new Heartbeats(PERIOD, () => 0.5)
    const [one, other] = [new Heart(), new Heart()]
    one.beat = () => heartbeats.remove(other)
    heartbeats.add(one)
    heartbeats.add(other)
    vi.advanceTimersByTime(3 * PERIOD)
    assert.strictEqual(other.at.length, 0)
  })

  it("catches up after a pause, each once", () => {
    const heartbeats = new Heartbeats(PERIOD, () => 0.5)
    const hearts = Array.from({ length: 10 }, () => new Heart())
    for (const heart of hearts) {
      heartbeats.add(heart)
      vi.advanceTimersByTime(PERIOD / 10)
    }
    const before = hearts.map(({ at }) => at.length)
    // The process stood still: the clock went on and no timer came.
    const now = performance.now.bind(performance)
    vi.spyOn(performance, "now").mockImplementation(() => now() + 10 * PERIOD)
    vi.advanceTimersByTime(100)
    const after = hearts.map(({ at }, index) => at.length - (before[index] ?? 0))
    assert.isAbove(Math.max(...after), 0)
    assert.isAtMost(Math.max(...after), 1)
    vi.advanceTimersByTime(PERIOD)
    for (const [index, { at }] of hearts.entries()) assert.isAtLeast(at.length - (before[index] ?? 0), 1)
  })

  it("keeps short periods too", () => {
    const heartbeats = new Heartbeats(20, () => 1)
    const heart = new Heart()
    heartbeats.add(heart)
    vi.advanceTimersByTime(1_000)
    assert.isAtLeast(heart.at.length, 40)
  })
})
