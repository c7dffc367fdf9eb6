import { assert, describe, it } from "@effect/vitest"
import { PacedQueue } from "@edge-relay/tunnel/websocket/PacedQueue"

const TURN_MILLIS = 5

const work = (millis: number) => {
  const until = performance.now() + millis
  while (performance.now() < until) {
    // As a handshake would keep the thread.
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe("PacedQueue", () => {
  it("runs everything in order, and nothing inside of push", async () => {
    const queue = new PacedQueue(TURN_MILLIS)
    const done: Array<number> = []
    for (let index = 0; index < 100; index++) queue.push(() => done.push(index))
    assert.deepStrictEqual(done, [])
    while (done.length < 100) await turn()
    assert.deepStrictEqual(
      done,
      Array.from({ length: 100 }, (_, index) => index)
    )
  })

  it("lets the event loop turn between slow tasks", async () => {
    const queue = new PacedQueue(TURN_MILLIS)
    const done: Array<number> = []
    for (let index = 0; index < 10; index++) {
      queue.push(() => {
        work(TURN_MILLIS)
        done.push(index)
      })
    }
    const seen = new Set<number>()
    while (done.length < 10) {
      await turn()
      seen.add(done.length)
    }
    assert.strictEqual(seen.size, 10)
  })

  it("takes more while it runs, and again once it has been empty", async () => {
    const queue = new PacedQueue(TURN_MILLIS)
    const done: Array<string> = []
    queue.push(() => {
      done.push("first")
      queue.push(() => done.push("pushed by the first"))
    })
    while (done.length < 2) await turn()
    queue.push(() => done.push("later"))
    while (done.length < 3) await turn()
    assert.deepStrictEqual(done, ["first", "pushed by the first", "later"])
  })
})
