import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Duplex } from "node:stream"
import { EdgeConnection } from "../../src/pool/EdgeConnection.ts"
import { EdgePool } from "../../src/pool/EdgePool.ts"

/** A pool at a time of the test's choosing, and connections that have just been used. */
const poolAt = () => {
  const clock = { now: 0 }
  const pool = new EdgePool(EdgeId.make("edge_01h00000000000000000000000"), {
    dial: () => Effect.runFork(Effect.never),
    maxStreams: 10,
    now: () => clock.now,
    onEmpty: () => undefined
  })
  const free = (idleSeconds?: number) => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    const connection = new EdgeConnection({ stream, protocol: "v2" }, pool)
    pool.onFree(connection, idleSeconds)
    return connection
  }
  return { clock, pool, free }
}

describe("EdgePool, for a request that cannot be repeated", () => {
  it("takes a fresh connection alone where nothing is known of the edge's server", () => {
    const { free, pool } = poolAt()
    const connection = free()
    assert.isUndefined(pool.take(false, 60))
    assert.strictEqual(pool.take(true, 60), connection)
    pool.onFree(connection)
    assert.strictEqual(pool.take(false, 40), connection)
  })

  it("takes one that has been idle for half as long as another has stayed open", () => {
    const { clock, free, pool } = poolAt()
    free()
    clock.now = 2000
    const second = free()
    assert.isUndefined(pool.take(false, 5000))
    assert.strictEqual(pool.take(false, 2900), second)
  })

  it("learns from a connection that the edge closes", () => {
    const { clock, free, pool } = poolAt()
    const first = free()
    clock.now = 2000
    pool.reap(clock.now)
    const second = free()
    pool.onClosed(first)
    clock.now = 2300
    pool.onClosed(second)
    free()
    assert.isUndefined(pool.take(false, 2500))
    assert.isDefined(pool.take(true, 2500))
  })

  it("believes what the server says of itself, until it was wrong", () => {
    const { clock, free, pool } = poolAt()
    free(5)
    assert.isDefined(pool.take(false, 3900))
    const second = free(5)
    clock.now = 300
    pool.onClosed(second)
    free(5)
    assert.isUndefined(pool.take(false, 500))
  })
})
