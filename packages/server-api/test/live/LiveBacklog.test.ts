import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { LiveBacklog } from "../../src/live/LiveBacklog.ts"

const bytes = (count: number) => Buffer.alloc(count, "x")

describe("LiveBacklog", () => {
  it("lets go who is furthest behind, where all together have too much", () => {
    const backlog = new LiveBacklog(100)
    const slowest = backlog.open(90)
    const slow = backlog.open(90)
    const quick = backlog.open(90)
    slowest.push(bytes(60))
    slow.push(bytes(30))
    quick.push(bytes(10))
    assert.isFalse(slowest.stream.destroyed)
    quick.push(bytes(1))
    assert.isTrue(slowest.stream.destroyed)
    assert.isFalse(slow.stream.destroyed)
    assert.isFalse(quick.stream.destroyed)
  })

  it("lets nobody go for what has been read", () => {
    const backlog = new LiveBacklog(100)
    const listeners = [backlog.open(90), backlog.open(90)]
    for (let round = 0; round < 20; round++) {
      for (const listener of listeners) {
        listener.push(bytes(40))
        listener.stream.read()
      }
    }
    assert.isTrue(listeners.every(({ stream }) => !stream.destroyed))
  })

  it("counts no more who has gone", async () => {
    const backlog = new LiveBacklog(100)
    const gone = backlog.open(90)
    gone.push(bytes(80))
    gone.stream.destroy()
    await once(gone.stream, "close")
    const next = backlog.open(90)
    next.push(bytes(40))
    assert.isFalse(next.stream.destroyed)
  })

  it("holds two thousand that read nothing to its bound", () => {
    const backlog = new LiveBacklog(1_000_000)
    const listeners = Array.from({ length: 2000 }, () => backlog.open(8_000))
    const event = bytes(100)
    for (let round = 0; round < 80; round++) {
      for (const listener of listeners) listener.push(event)
      const waiting = listeners.reduce((sum, { waitingBytes }) => sum + waitingBytes, 0)
      assert.isAtMost(waiting, 1_000_000)
    }
  })
})
