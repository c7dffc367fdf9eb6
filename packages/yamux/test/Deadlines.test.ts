import { assert, describe, it } from "@effect/vitest"
import { INITIAL_WINDOW } from "../src/Frame.ts"
import { Scripted, turn, write } from "./support/Scripted.ts"
import { data, ping, wnd } from "@edge-relay/testkit/yamux/Wire"

/** A session with one stream that both ends have agreed on, after a long quiet. */
const idle = async (options: ConstructorParameters<typeof Scripted>[1] = {}) => {
  const peer = new Scripted("server", options)
  peer.feed(wnd(1, 0, "SYN"), data(1, "hello"))
  const stream = peer.stream()
  stream.read()
  await peer.sent()
  peer.timers.advance(500)
  return { peer, stream }
}

describe("yamux deadlines", () => {
  it("are looked at only while there are any", async () => {
    const { peer, stream } = await idle()
    assert.strictEqual(peer.timers.watched, 0, "a stream that waits for nothing")
    peer.feed(ping(1, "SYN"))
    await peer.sent()
    assert.strictEqual(peer.timers.watched, 1, "something was sent, which may get stuck")
    peer.timers.advance(500)
    assert.strictEqual(peer.timers.watched, 0)
    stream.end()
    await peer.sent()
    peer.timers.advance(10_000)
    assert.strictEqual(peer.timers.watched, 1, "the peer owes its FIN")
    peer.feed(wnd(1, 0, "FIN"))
    peer.timers.advance(500)
    assert.strictEqual(peer.timers.watched, 0)
  })

  it("Y33 are noticed after a quiet: a stream that is not answered", async () => {
    const { peer } = await idle()
    const stream = peer.session.open()
    await turn()
    peer.timers.advance(74_000)
    assert.isFalse(stream.destroyed)
    peer.timers.advance(1_500)
    assert.isTrue(stream.destroyed)
  })

  it("Y72 are noticed after a quiet: a write for which the window, used up before, does not suffice", async () => {
    const { peer, stream } = await idle({ closeTimeoutMillis: 5_000 })
    assert.strictEqual(await write(stream, INITIAL_WINDOW), "written")
    peer.timers.advance(10_000)
    const writing = write(stream, 1)
    peer.feed(wnd(1, 0, "FIN"))
    peer.timers.advance(6_000)
    assert.strictEqual(await writing, "close_timeout")
  })

  it("Y93 are noticed after a quiet: a transport that takes nothing", async () => {
    const { peer } = await idle({ writeTimeoutMillis: 5_000 })
    peer.transport.blocked = true
    peer.session.measure()
    await turn()
    peer.timers.advance(6_000)
    assert.strictEqual(peer.end, "write_timeout")
  })

  it("are noticed after a quiet: unread bytes that keep the session from reading", async () => {
    const { peer, stream } = await idle({ sessionBudget: INITIAL_WINDOW, readTimeoutMillis: 5_000 })
    peer.feed(wnd(3, 0, "SYN"), data(1, INITIAL_WINDOW - 5), data(3, 100))
    assert.isTrue(peer.transport.paused)
    peer.timers.advance(6_000)
    assert.isTrue(stream.destroyed)
    assert.isFalse(peer.transport.paused)
    assert.isFalse(peer.session.closed)
  })
})

describe("a measurement of the round trip", () => {
  it("Y76 tells its answer, and goes by the latest that was answered in time", async () => {
    const peer = new Scripted("server")
    const told: Array<number> = []
    peer.session.onRoundTrip = (millis) => told.push(millis)
    peer.session.measure()
    const [asked] = await peer.frames()
    peer.timers.advance(20)
    peer.feed(ping(asked?.length ?? -1, "ACK"))
    assert.deepStrictEqual(told, [20])
    assert.strictEqual(peer.session.stats.roundTripMillis, 20)
    peer.feed(ping(asked?.length ?? -1, "ACK"))
    assert.deepStrictEqual(told, [20], "an answer that nobody waits for")
    // Never answered: after a minute another one takes its place.
    peer.session.measure()
    peer.timers.advance(60_000)
    peer.session.measure()
    const [, next] = await peer.frames()
    peer.timers.advance(30)
    peer.feed(ping(next?.length ?? -1, "ACK"))
    assert.deepStrictEqual(told, [20, 30])
  })
})
