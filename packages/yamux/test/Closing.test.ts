import { once } from "node:events"
import { assert, describe, it } from "@effect/vitest"
import { memoryInUse } from "./support/Heap.ts"
import { pair } from "./support/Pair.ts"
import { turn, watch, write, Scripted } from "./support/Scripted.ts"
import { codeOf, data, ping, wnd } from "@edge-relay/testkit/yamux/Wire"

const WINDOW = 262_144

const withStream = async (options = {}) => {
  const peer = new Scripted("server", options)
  peer.feed(wnd(1, 0, "SYN"))
  await peer.sent()
  const stream = peer.stream()
  return { peer, stream, events: watch(stream) }
}

describe("yamux closing", () => {
  it("Y59 end sends what was written, then one FIN, and reading goes on", async () => {
    const { peer, stream, events } = await withStream()
    stream.write("one")
    stream.write("two")
    stream.end("three")
    assert.deepStrictEqual(await peer.sent(), ["DATA 1 3", "DATA 1 8", "WND FIN 1 0"])
    peer.feed(data(1, "more"))
    await turn()
    assert.deepStrictEqual(events, ["more"])
  })

  it("Y60 FIN gives 'end' after all that was received, and writing goes on", async () => {
    const { peer, stream, events } = await withStream()
    stream.pause()
    peer.feed(data(1, "a"), data(1, "b"), wnd(1, 0, "FIN"))
    await turn()
    assert.deepStrictEqual(events, [])
    stream.resume()
    await turn()
    assert.strictEqual(events.join(""), "abend")
    stream.write("still")
    assert.deepStrictEqual(await peer.sent(), ["DATA 1 5"])
  })

  it("Y61 FIN both ways closes the stream and leaves nothing of it", async () => {
    const { peer, stream, events } = await withStream()
    stream.end()
    peer.feed(wnd(1, 0, "FIN"))
    assert.deepStrictEqual(await peer.sent(), ["WND FIN 1 0"])
    await turn()
    assert.deepStrictEqual(events, ["end", "close"])
    assert.strictEqual(peer.session.stats.streams, 0)
    peer.timers.advance(600_000)
    assert.deepStrictEqual(await peer.sent(), [])
    peer.session.destroy()
    assert.strictEqual(peer.timers.active, 0)
  })

  it("Y62 a second FIN is a protocol error while the stream lives, and ignored after", async () => {
    const live = await withStream()
    live.peer.feed(wnd(1, 0, "FIN"), wnd(1, 0, "FIN"))
    assert.strictEqual(live.peer.end, "protocol_error")
    const closed = await withStream()
    closed.peer.feed(wnd(1, 0, "FIN"))
    closed.stream.end()
    await turn()
    closed.peer.feed(wnd(1, 0, "FIN"))
    assert.isFalse(closed.peer.session.closed)
  })

  it("Y63 DATA after the peer's FIN is a protocol error, and never delivered", async () => {
    const { peer, events } = await withStream()
    peer.feed(wnd(1, 0, "FIN"), data(1, "late"))
    await turn()
    assert.strictEqual(peer.end, "protocol_error")
    assert.notInclude(events, "late")
  })

  it("Y64 a window update after the peer's FIN counts: the peer still reads", async () => {
    const { peer, stream } = await withStream()
    peer.feed(wnd(1, 0, "FIN"))
    const written = write(stream, WINDOW + 10)
    await peer.sent()
    peer.feed(wnd(1, 10))
    assert.strictEqual(await written, "written")
    assert.deepStrictEqual(await peer.sent(), ["DATA 1 10"])
  })

  it("Y65 no window update goes out for a stream that the peer has ended, or that we dropped", async () => {
    const ended = new Scripted("server")
    ended.feed(data(1, WINDOW, "SYN"), wnd(1, 0, "FIN"))
    ended.stream().resume()
    assert.deepStrictEqual(await ended.sent(), ["WND ACK 1 0"])
    const dropped = new Scripted("server")
    dropped.feed(data(1, WINDOW, "SYN"))
    dropped.stream().destroy()
    dropped.feed(data(1, WINDOW))
    assert.deepStrictEqual(await dropped.sent(), ["WND ACK 1 0", "WND RST 1 0"])
    assert.strictEqual(dropped.session.stats.unreadBytes, 0)
  })

  it("Y66 destroy sends one RST, drops what waits, and skips what still comes", async () => {
    const { peer, stream, events } = await withStream()
    stream.write(Buffer.alloc(WINDOW + 1))
    await peer.sent()
    stream.destroy()
    stream.destroy()
    peer.feed(data(1, "late"), wnd(1, 10), ping(1, "SYN"))
    assert.deepStrictEqual(await peer.sent(), ["WND RST 1 0", "PING ACK 0 1"])
    assert.deepStrictEqual(events, ["close"])

    const { client, server } = pair()
    const failed = new Promise((resolve) => {
      server.onStream = (inbound) => inbound.on("error", resolve)
    })
    client.open().destroy()
    assert.strictEqual(codeOf(await failed), "ECONNRESET")
    client.destroy()
  })

  it("Y67 RST never precedes SYN, and FIN never overtakes data", async () => {
    const peer = new Scripted("client")
    const dropped = peer.session.open()
    dropped.write("never")
    dropped.destroy()
    const ended = peer.session.open()
    ended.write(Buffer.alloc(WINDOW + 5))
    ended.end()
    const sent = await peer.sent()
    assert.deepStrictEqual(sent.slice(0, 3), ["WND SYN 1 0", "WND RST 1 0", "WND SYN 3 0"])
    assert.notInclude(sent, "WND FIN 3 0")
    peer.feed(wnd(3, 5, "ACK"))
    assert.deepStrictEqual(await peer.sent(), ["DATA 3 5", "WND FIN 3 0"])
  })

  it("Y68 RST in every state fails the stream, wakes its writer and leaves nothing", async () => {
    const states = {
      opening: [],
      established: [wnd(1, 0, "ACK")],
      localClosed: [wnd(1, 0, "ACK")],
      remoteClosed: [wnd(1, 0, "ACK"), wnd(1, 0, "FIN")]
    }
    for (const [state, frames] of Object.entries(states)) {
      const peer = new Scripted("client", { acceptBacklog: 1 })
      const stream = peer.session.open()
      const events = watch(stream)
      peer.feed(...frames)
      const writing = state === "localClosed" ? undefined : write(stream, WINDOW + 1)
      if (state === "localClosed") stream.end()
      await turn()
      peer.feed(wnd(1, 0, "RST"))
      await turn()
      assert.deepStrictEqual(events.slice(-2), ["error ECONNRESET", "close"], state)
      if (writing !== undefined) assert.strictEqual(await writing, "ECONNRESET", state)
      assert.strictEqual(peer.session.stats.streams, 0, state)
      await peer.sent()
      peer.session.open()
      peer.timers.advance(1_000)
      assert.deepStrictEqual(await peer.sent(), ["WND SYN 3 0"], state)
    }
  })

  it("Y69 RST or FIN for a stream that is closed is ignored", async () => {
    const { peer, stream } = await withStream()
    peer.feed(wnd(1, 0, "FIN"))
    stream.end()
    await peer.sent()
    peer.feed(wnd(1, 0, "RST"), wnd(1, 0, "FIN"), wnd(1, 0, "RST"))
    assert.deepStrictEqual(await peer.sent(), [])
    assert.isFalse(peer.session.closed)
  })

  it("Y70 the length of an RST, where some put an error code, is never read as a body", async () => {
    const { peer, events } = await withStream()
    peer.feed(Buffer.concat([wnd(1, 500, "RST"), ping(9, "SYN")]))
    assert.deepStrictEqual(await peer.sent(), ["PING ACK 0 9"])
    assert.deepStrictEqual(events, ["error ECONNRESET", "close"])
  })

  it("Y71 a peer that never closes its side gets one RST after the close time-out", async () => {
    const { peer, stream, events } = await withStream()
    stream.end()
    await peer.sent()
    peer.timers.advance(299_000)
    assert.deepStrictEqual(await peer.sent(), [])
    peer.timers.advance(1_000)
    assert.deepStrictEqual(await peer.sent(), ["WND RST 1 0"])
    assert.deepStrictEqual(events, ["error close_timeout", "close"])
    assert.strictEqual(peer.session.stats.streams, 0)
  })

  it("Y71 a peer that goes on sending is waited for, until it stops", async () => {
    const { peer, stream, events } = await withStream()
    stream.end()
    for (let minutes = 0; minutes < 20; minutes++) {
      peer.timers.advance(60_000)
      peer.feed(data(1, "more"))
    }
    await turn()
    assert.isFalse(stream.destroyed, "it has moved meanwhile")
    peer.timers.advance(300_500)
    await turn()
    assert.deepStrictEqual(events.slice(-2), ["error close_timeout", "close"])
  })

  it("Y72 a writer that is stuck against a peer that has closed ends, and one that moves does not", async () => {
    const { peer, stream, events } = await withStream()
    const writing = write(stream, WINDOW * 2)
    peer.feed(wnd(1, 0, "FIN"))
    await peer.sent()
    peer.timers.advance(250_000)
    peer.feed(wnd(1, 1_000))
    await peer.sent()
    peer.timers.advance(250_000)
    assert.isFalse(stream.destroyed, "it has moved meanwhile")
    peer.timers.advance(60_000)
    assert.strictEqual(await writing, "close_timeout")
    assert.deepStrictEqual(await peer.sent(), ["WND RST 1 0"])
    assert.strictEqual(events.at(-1), "close")
  })

  it("Y73 10,000 times open, echo and close leave both ends as they were", { timeout: 60_000 }, async () => {
    const { client, server } = pair()
    const cycle = async () => {
      const stream = client.open()
      stream.end("ping")
      assert.strictEqual(Buffer.concat(await stream.toArray()).toString(), "ping")
    }
    const cycles = async (count: number) => {
      for (let n = 0; n < count / 20; n++) await Promise.all(Array.from({ length: 20 }, cycle))
    }
    await cycles(1_000)
    const before = await memoryInUse()
    await cycles(10_000)
    assert.strictEqual(client.stats.streams + server.stats.streams, 0)
    assert.isBelow((await memoryInUse()) - before, 1_000_000)
    client.destroy()
  })

  it("Y74 a write after end, destroy or RST fails its callback, and nothing goes out", async () => {
    const ended = await withStream()
    ended.stream.end()
    await ended.peer.sent()
    assert.strictEqual(await write(ended.stream, 1), "ERR_STREAM_WRITE_AFTER_END")
    const destroyed = await withStream()
    destroyed.stream.destroy()
    await destroyed.peer.sent()
    assert.strictEqual(await write(destroyed.stream, 1), "ERR_STREAM_DESTROYED")
    const reset = await withStream()
    reset.peer.feed(wnd(1, 0, "RST"))
    assert.strictEqual(await write(reset.stream, 1), "ERR_STREAM_DESTROYED")
    for (const { peer } of [destroyed, reset]) assert.deepStrictEqual(await peer.sent(), [])
  })

  it("Y75 a stream dropped with unread data unblocks its sender", async () => {
    const { client, server } = pair()
    server.onStream = (stream) => setImmediate(() => setImmediate(() => stream.destroy()))
    const stream = client.open()
    assert.strictEqual(await write(stream, WINDOW * 4), "ECONNRESET")
    if (!stream.closed) await once(stream, "close")
    assert.strictEqual(server.stats.unreadBytes, 0)
    client.destroy()
  })
})
