import { once } from "node:events"
import { assert, describe, it } from "@effect/vitest"
import { Session } from "../src/Session.ts"
import { memoryInUse } from "./support/Heap.ts"
import { MemoryTransport } from "./support/MemoryTransport.ts"
import { pair } from "./support/Pair.ts"
import { Random } from "@edge-relay/testkit/Random"
import { thrown, turn, watch, Scripted } from "./support/Scripted.ts"
import { codeOf, data, goAway, ping, wnd } from "@edge-relay/testkit/yamux/Wire"

const WINDOW = 262_144
const MIB = 1024 * 1024

/** A session with `count` inbound streams that are read as fast as they come, and a known round trip. */
const reading = async (roundTrip: number, count: number, options = {}) => {
  const peer = new Scripted("server", options)
  const measured = peer.session.ping()
  const [asked] = await peer.frames()
  peer.timers.advance(roundTrip)
  peer.feed(ping(asked?.length ?? -1, "ACK"))
  await measured
  for (let n = 0; n < count; n++) {
    peer.feed(wnd(2 * n + 1, 0, "SYN"))
    peer.stream(n).on("data", () => {})
  }
  await peer.sent()
  return peer
}

/** Feeds half a window after half a window, each in `millis`; answers the size of the last window granted. */
const pour = async (peer: Scripted, id: number, millis: number, times: number): Promise<number> => {
  let size = WINDOW
  for (let n = 0; n < times; n++) {
    peer.timers.advance(millis)
    peer.feed(data(id, size / 2))
    const granted = (await peer.frames()).filter((frame) => frame.type === "WND" && frame.id === id)
    assert.strictEqual(granted.length, 1)
    size += (granted[0]?.length ?? 0) - size / 2
  }
  return size
}

describe("yamux bounds", () => {
  it("Y99 the window of a stream at full speed grows to its limit; others stay small", async () => {
    const peer = await reading(50, 2)
    assert.strictEqual(await pour(peer, 1, 10, 1), 2 * WINDOW)
    const fast = await reading(50, 2)
    assert.strictEqual(await pour(fast, 1, 10, 6), 4 * MIB)
    assert.strictEqual(await pour(fast, 3, 250, 6), WINDOW)
  })

  it("Y99 the windows of a session stop growing at its budget", async () => {
    const peer = await reading(50, 4, { sessionBudget: 2 * MIB })
    const sizes: Array<number> = []
    for (const id of [1, 3, 5, 7]) sizes.push(await pour(peer, id, 10, 4))
    assert.deepStrictEqual(sizes, [2 * MIB - 3 * WINDOW, WINDOW, WINDOW, WINDOW])
    peer.stream(0).destroy()
    assert.strictEqual(
      await pour(peer, 3, 10, 5),
      2 * MIB - 2 * WINDOW,
      "a stream's end gives its share back"
    )
  })

  it("Y99 a bulk stream does not inflate the round trip that growth is computed from", async () => {
    const peer = await reading(10, 1)
    for (let n = 0; n < 10; n++) {
      const measured = peer.session.ping(60_000)
      const [asked] = await peer.frames()
      await pour(peer, 1, 200, 4)
      peer.feed(ping(asked?.length ?? -1, "ACK"))
      assert.isAbove(await measured, 700)
    }
    assert.isAtMost(peer.session.stats.roundTripMillis ?? 0, 10)
  })

  it("Y100 past the bound on streams our open fails and the peer's is answered RST", async () => {
    const peer = new Scripted("server", { maxStreams: 3 })
    peer.feed(wnd(1, 0, "SYN"), wnd(3, 0, "SYN"))
    peer.session.open()
    assert.strictEqual(
      thrown(() => peer.session.open()),
      "too_many_streams"
    )
    await peer.sent()
    peer.feed(wnd(5, 0, "SYN"))
    assert.deepStrictEqual(await peer.sent(), ["WND RST 5 0"])
    peer.stream().destroy()
    peer.feed(wnd(7, 0, "SYN"))
    assert.deepStrictEqual(await peer.sent(), ["WND RST 1 0", "WND ACK 7 0"])
  })

  it("Y100 unread bytes past the session's budget stop its reading, and then its fullest streams", async () => {
    const peer = new Scripted("server", { sessionBudget: MIB, readTimeoutMillis: 10_000 })
    for (let id = 1; id <= 11; id += 2) peer.feed(wnd(id, 0, "SYN"))
    for (let id = 1; id <= 9; id += 2) peer.feed(data(id, id === 5 ? WINDOW : WINDOW - 1_000))
    assert.isTrue(peer.transport.paused)
    peer.timers.advance(5_000)
    const relieved = peer.stream(0)
    relieved.on("data", () => {})
    await turn()
    assert.isFalse(peer.transport.paused, "a reader that reads makes room")
    peer.feed(data(11, WINDOW))
    assert.isTrue(peer.transport.paused)
    const events = watch(peer.stream(2).pause())
    peer.timers.advance(11_000)
    await turn()
    assert.isFalse(peer.transport.paused)
    assert.deepStrictEqual(events, ["error read_timeout", "close"])
    assert.isFalse(peer.session.closed)
  })

  it("Y100 a hundred streams that nobody reads stop the others once or twice, not a time each", async () => {
    const peer = new Scripted("server", { readTimeoutMillis: 15_000 })
    const ids = Array.from({ length: 100 }, (_, index) => 2 * index + 1)
    for (const id of ids) peer.feed(wnd(id, 0, "SYN"))
    let stops = 0
    // What the peer still has to send to streams that have not been reset comes whenever it is read.
    for (const [index, id] of ids.entries()) {
      if (!peer.stream(index).destroyed) peer.feed(data(id, WINDOW))
      if (!peer.transport.paused) continue
      stops++
      peer.timers.advance(16_000)
    }
    assert.isFalse(peer.transport.paused)
    assert.isAtMost(stops, 2)
    assert.isFalse(peer.session.closed)
  })

  it("Y100 a stream that is closed on both sides and not read counts in the budget too", async () => {
    const peer = new Scripted("server", { sessionBudget: MIB, readTimeoutMillis: 10_000 })
    for (let id = 1; id <= 9; id += 2) {
      peer.feed(data(id, WINDOW - id, "SYN"), wnd(id, 0, "FIN"))
      peer.streams.at(-1)?.end()
      await turn()
    }
    assert.strictEqual(peer.session.stats.streams, 0)
    assert.isTrue(peer.transport.paused)
    peer.feed(wnd(11, 0, "SYN"))
    peer.timers.advance(11_000)
    const destroyed = peer.streams.map((stream) => stream.destroyed)
    assert.deepStrictEqual(destroyed, [true, true, true, false, false, false], "those that held the most")
    for (const stream of peer.streams) stream.destroy()
    assert.strictEqual(peer.session.stats.unreadBytes, 0)
    assert.isFalse(peer.transport.paused)
  })

  it("Y101 a storm of streams opened and reset ends the session; a slow drizzle does not", async () => {
    const options = { resetBurst: 100, resetsPerSecond: 10 }
    const storm = new Scripted("server", options)
    for (let id = 1; id < 301 && !storm.session.closed; id += 2)
      storm.feed(wnd(id, 0, "SYN"), wnd(id, 0, "RST"))
    assert.strictEqual(storm.end, "too_many_resets")
    assert.strictEqual(storm.streams.length, 101)
    assert.strictEqual(storm.transport.closedWith?.code, 4013)
    const drizzle = new Scripted("server", options)
    for (let id = 1; id < 1_001; id += 2) {
      drizzle.timers.advance(100)
      drizzle.feed(wnd(id, 0, "SYN"), wnd(id, 0, "RST"))
    }
    assert.isFalse(drizzle.session.closed)
    const refused = new Scripted("server", options)
    refused.session.goAway()
    for (let id = 1; id < 301 && !refused.session.closed; id += 2) refused.feed(wnd(id, 0, "SYN"))
    assert.strictEqual(refused.end, "too_many_resets")
  })

  it("Y102 window by the byte, half-open streams and pings cost in proportion to their bytes", async () => {
    const peer = new Scripted("server")
    peer.feed(wnd(1, 0, "SYN"))
    const before = await memoryInUse()
    peer.stream().write(Buffer.alloc(WINDOW + 100_000))
    await peer.sent()
    const grant = async (count: number) => {
      const grants = Buffer.concat(Array.from({ length: count }, () => wnd(1, 1)))
      const began = process.cpuUsage()
      peer.feed(grants)
      const sent = await peer.frames()
      const { system, user } = process.cpuUsage(began)
      assert.isBelow(sent.length, 10, "grants of one turn are one grant")
      return system + user
    }
    await grant(16_000)
    // Four times as many take four times as long; were it quadratic, sixteen times.
    const few = await grant(16_000)
    assert.isBelow((await grant(64_000)) / few, 12)
    for (let id = 3; id < 4_000; id += 2) peer.feed(wnd(id, 0, "SYN"))
    assert.strictEqual(peer.session.stats.streams, 1_024)
    for (let n = 0; n < 10; n++) {
      peer.feed(Buffer.concat(Array.from({ length: 10_000 }, () => ping(n, "SYN"))))
      await peer.sent()
    }
    peer.session.destroy()
    peer.streams.splice(0)
    assert.isBelow((await memoryInUse()) - before, 2_000_000)
  })

  it("Y103 500 sessions made and ended a hundred times leave nothing", { timeout: 60_000 }, async () => {
    const round = async () => {
      for (let n = 0; n < 500; n++) {
        const transport = new MemoryTransport()
        const session = new Session("server", transport)
        transport.onData(wnd(1, 0, "SYN"))
        const stream = session.open()
        stream.write("x")
        void session.ping().catch(() => {})
        session.destroy(n % 2 === 0 ? new Error("gone") : undefined)
      }
      await turn()
    }
    // Traces of the errors that end 50,000 sessions would be most of the work.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    for (let n = 0; n < 5; n++) await round()
    const before = await memoryInUse()
    for (let n = 0; n < 100; n++) await round()
    Error.stackTraceLimit = stackTraceLimit
    assert.isBelow((await memoryInUse()) - before, 1_000_000)
    assert.notInclude(process.getActiveResourcesInfo(), "Timeout")
  })

  it("Y104 the statistics agree with what both ends counted", async () => {
    const { client, server } = pair()
    const random = new Random(104)
    let bytes = 0
    for (let n = 0; n < 30; n++) {
      const stream = client.open()
      const length = random.below(100_000)
      bytes += length
      stream.end(Buffer.alloc(length))
      await stream.toArray()
    }
    const roundTrip = await client.ping()
    const [left, right] = [client.stats, server.stats]
    assert.strictEqual(left.bytesOut, bytes)
    assert.strictEqual(left.bytesIn, bytes)
    assert.strictEqual(left.streamsOpened, 30)
    assert.strictEqual(right.streamsAccepted, 30)
    assert.strictEqual(left.roundTripMillis, Math.min(roundTrip, left.roundTripMillis ?? 0))
    const crossed = [
      [left.bytesOut, right.bytesIn],
      [right.bytesOut, left.bytesIn],
      [left.framesOut, right.framesIn],
      [right.framesOut, left.framesIn],
      [left.wireBytesOut, right.wireBytesIn],
      [right.wireBytesOut, left.wireBytesIn]
    ]
    for (const [sent, received] of crossed) assert.strictEqual(sent, received)
    assert.strictEqual(left.wireBytesOut, left.bytesOut + 12 * left.framesOut)
    client.destroy()
  })

  it(
    "Y105 a reader that pauses and resumes ten thousand times misses nothing",
    { timeout: 60_000 },
    async () => {
      const random = new Random(105)
      const { client, server } = pair({}, { bytesPerRound: 30_000 })
      const stream = client.open()
      let [sent, received, switches] = [0, 0, 0]
      const over = (): boolean => switches >= 10_000
      server.onStream = (inbound) => {
        const pour = (): void => {
          for (let more = true; more && !over();) {
            const chunk = Buffer.alloc(1 + random.below(40_000))
            sent += chunk.length
            more = inbound.write(chunk)
          }
          if (over() && !inbound.writableEnded) inbound.end()
        }
        inbound.on("drain", pour)
        pour()
      }
      const flip = (): void => {
        switches++
        if (switches === 10_000 || stream.isPaused()) stream.resume()
        else stream.pause()
        if (switches < 10_000) setImmediate(flip)
      }
      stream.on("data", (chunk: Buffer) => {
        received += chunk.length
        if (switches < 9_000 && random.below(4) === 0) stream.pause()
      })
      stream.end()
      flip()
      if (!stream.closed) await once(stream, "close")
      assert.strictEqual(switches, 10_000)
      assert.strictEqual(received, sent)
      client.destroy()
    }
  )

  it("Y106 ending the session from inside any of its callbacks, twice, ends it once", async () => {
    const places = ["onStream", "data", "end", "error", "written", "onGoAway", "onClose", "ping"] as const
    for (const place of places) {
      const peer = new Scripted("server")
      const endings: Array<Error | undefined> = []
      const finish = (): void => {
        peer.session.destroy(new Error(place))
        void peer.session.close()
        peer.session.destroy()
      }
      peer.session.onClose = (error) => {
        endings.push(error)
        if (place === "onClose") finish()
      }
      peer.session.onGoAway = () => place === "onGoAway" && finish()
      const streams: Array<Array<string>> = []
      peer.session.onStream = (stream) => {
        streams.push(watch(stream))
        if (place === "data") stream.once("data", finish)
        if (place === "end") stream.once("end", finish)
        if (place === "error") stream.once("error", finish)
        stream.write(Buffer.alloc(WINDOW * 2))
        if (place === "onStream") finish()
      }
      const writer = peer.session.open()
      writer.write("x", () => place === "written" && finish())
      void peer.session.ping().then(
        () => place === "ping" && finish(),
        () => {}
      )
      await peer.sent()
      peer.feed(Buffer.concat([data(1, "a", "SYN"), data(3, "b", "SYN", "FIN"), ping(0, "ACK")]))
      await turn()
      peer.feed(wnd(1, 0, "RST"), goAway(0))
      await turn()
      if (place === "onClose") peer.session.destroy(new Error(place))
      await turn()
      assert.strictEqual(endings.length, 1, place)
      assert.strictEqual(endings[0]?.message, place)
      assert.strictEqual(peer.timers.active, 0, place)
      for (const events of streams) assert.isBelow(events.filter((event) => event === "close").length, 2)
      assert.strictEqual(
        thrown(() => peer.session.open()),
        "session_closed"
      )
      assert.strictEqual(codeOf(await peer.session.ping().catch((error) => error)), "session_closed")
    }
  })
})
