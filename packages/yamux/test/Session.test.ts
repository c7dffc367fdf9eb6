import { once } from "node:events"
import { assert, describe, it } from "@effect/vitest"
import { pair } from "./support/Pair.ts"
import { thrown, turn, watch, write, Scripted } from "./support/Scripted.ts"
import { codeOf, data, goAway, header, ping, wnd } from "@edge-relay/testkit/yamux/Wire"

const WINDOW = 262_144

const withStream = async (options = {}) => {
  const peer = new Scripted("server", options)
  peer.feed(wnd(1, 0, "SYN"))
  await peer.sent()
  return { peer, stream: peer.stream() }
}

const outcome = (promise: Promise<unknown>): Promise<string | undefined> =>
  promise.then(
    () => "resolved",
    (error) => codeOf(error)
  )

describe("yamux pings", () => {
  it("Y76 a ping with SYN, whatever else it has, is answered with its value", async () => {
    const peer = new Scripted("server")
    peer.feed(ping(0xdeadbeef, "SYN"), ping(0, "SYN", "ACK"), header(2, 1, 5, 0xffff_ffff))
    const expected = [0xdeadbeef, 0, 0xffff_ffff].map((token) => `PING ACK 0 ${token}`)
    assert.deepStrictEqual(await peer.sent(), expected)
  })

  it("Y77 answers are matched by value, and those nobody waits for are ignored", async () => {
    const peer = new Scripted("client")
    const first = peer.session.ping()
    const second = peer.session.ping()
    const tokens = (await peer.frames()).map((frame) => frame.length)
    peer.feed(ping(4711, "ACK"), ping(1))
    peer.timers.advance(10)
    peer.feed(ping(tokens[1] ?? -1, "ACK"))
    assert.strictEqual(await second, 10)
    peer.timers.advance(5)
    peer.feed(ping(tokens[0] ?? -1, "ACK"))
    assert.strictEqual(await first, 15)
    assert.deepStrictEqual(await peer.sent(), [])
  })

  it("Y78 a ping that is not answered fails, a later one works, a late answer is ignored", async () => {
    const peer = new Scripted("client")
    const late = outcome(peer.session.ping(1_000))
    const [sent] = await peer.frames()
    peer.timers.advance(1_000)
    assert.strictEqual(await late, "ping_timeout")
    peer.feed(ping(sent?.length ?? -1, "ACK"))
    const next = outcome(peer.session.ping(1_000))
    const [again] = await peer.frames()
    peer.feed(ping(again?.length ?? -1, "ACK"))
    assert.strictEqual(await next, "resolved")
  })

  it("Y79 100,000 pings while our output is blocked stop our reading, in bounded memory", async () => {
    const peer = new Scripted("server")
    peer.transport.blocked = true
    const chunk = Buffer.concat(Array.from({ length: 5_000 }, (_, token) => ping(token, "SYN")))
    let fed = 0
    while (!peer.transport.paused && fed < 20) {
      peer.feed(chunk)
      fed++
      await turn()
    }
    assert.isTrue(peer.transport.paused)
    assert.isBelow(fed * chunk.length, 1_000_000)
    peer.transport.release()
    assert.isFalse(peer.transport.paused)
    assert.strictEqual((await peer.frames()).length, fed * 5_000)
  })

  it("Y81 silence is met with a ping, and an unanswered one ends the session, once", async () => {
    const peer = new Scripted("server", { keepAliveMillis: 30_000, keepAliveTimeoutMillis: 10_000 })
    for (let n = 0; n < 10; n++) {
      peer.timers.advance(20_000)
      peer.feed(wnd(99, 0))
    }
    assert.deepStrictEqual(await peer.sent(), [], "bytes that arrive are a sign of life")
    peer.timers.advance(30_000)
    const [asked] = await peer.frames()
    assert.strictEqual(asked?.type, "PING")
    peer.feed(ping(asked?.length ?? -1, "ACK"))
    peer.timers.advance(29_000)
    assert.isFalse(peer.session.closed)
    peer.timers.advance(12_000)
    assert.strictEqual(peer.end, "keepalive_timeout")
    assert.strictEqual(peer.transport.closedWith?.code, 4008)
  })

  it("Y82 no timer is left when a session or its transport has ended", async () => {
    for (const how of ["destroy", "transport", "close"] as const) {
      const { peer, stream } = await withStream({ keepAliveMillis: 1_000 })
      stream.end()
      const pinging = outcome(peer.session.ping(5_000))
      assert.isAbove(peer.timers.active, 0)
      if (how === "destroy") peer.session.destroy()
      else if (how === "transport") peer.transport.onClose(new Error("cut"))
      else void peer.session.close()
      await turn()
      assert.strictEqual(peer.timers.active, 0, how)
      assert.notStrictEqual(await pinging, "resolved")
      peer.timers.advance(1_000_000)
      assert.strictEqual(peer.ends.length, 1)
    }
  })
})

describe("yamux going away", () => {
  it("Y83 GoAway 0 stops our opens only", async () => {
    const { peer, stream } = await withStream()
    peer.feed(goAway(0))
    assert.strictEqual(
      thrown(() => peer.session.open()),
      "remote_going_away"
    )
    assert.deepStrictEqual(peer.goAways, [0])
    stream.write("on")
    peer.feed(wnd(3, 0, "SYN"))
    assert.deepStrictEqual(await peer.sent(), ["WND ACK 3 0", "DATA 1 2"])
  })

  it("Y84 GoAway with any other reason ends the session and its streams with it", async () => {
    const reasons = { 1: "remote_protocol_error", 2: "remote_internal_error", 77: "remote_unknown_error" }
    for (const [code, expected] of Object.entries(reasons)) {
      const { peer, stream } = await withStream()
      const events = watch(stream)
      peer.feed(goAway(Number(code)))
      await turn()
      assert.strictEqual(peer.end, expected)
      assert.deepStrictEqual(events, [`error ${expected}`, "close"])
    }
  })

  it("Y85 frames after a GoAway 0 in the same chunk are handled", async () => {
    const { peer, stream } = await withStream()
    const events = watch(stream)
    peer.feed(Buffer.concat([goAway(0), data(1, "after"), ping(1, "SYN")]))
    assert.deepStrictEqual(await peer.sent(), ["PING ACK 0 1"])
    assert.deepStrictEqual(events, ["after"])
  })

  it("Y86 after our goAway inbound streams are refused, and live ones go on", async () => {
    const { peer, stream } = await withStream()
    const events = watch(stream)
    peer.session.goAway()
    peer.feed(wnd(3, 0, "SYN"), data(3, "drained"), data(1, "live"))
    assert.deepStrictEqual(await peer.sent(), ["GOAWAY 0 0", "WND RST 3 0"])
    assert.deepStrictEqual(events, ["live"])
  })
})

describe("yamux sending in turn", () => {
  it("Y80 control frames go ahead of data that waits", async () => {
    const { peer, stream } = await withStream()
    stream.write(Buffer.alloc(WINDOW))
    peer.feed(ping(5, "SYN"))
    const sent = await peer.sent()
    assert.strictEqual(sent[0], "PING ACK 0 5")
    assert.strictEqual(sent.length, 17)
  })

  it("Y92 past the transport's mark streams wait, within one frame each, until it drains", async () => {
    const mark = 100_000
    const peer = new Scripted("server", { sendHighWater: mark })
    peer.transport.blocked = true
    let written = 0
    for (let id = 1; id <= 41; id += 2) {
      peer.feed(wnd(id, 0, "SYN"))
      peer.stream((id - 1) / 2).write(Buffer.alloc(WINDOW), () => written++)
    }
    await turn()
    assert.isBelow(peer.transport.bufferedAmount, mark + 64 * 1024 + 1_000)
    assert.strictEqual(written, 0)
    for (let n = 0; n < 100; n++) {
      peer.transport.release()
      await turn()
    }
    assert.strictEqual(written, 21)
    const bytes = (await peer.frames()).reduce((sum, frame) => sum + frame.payload.length, 0)
    assert.strictEqual(bytes, 21 * WINDOW)
  })

  it("Y93 a transport that takes nothing for the write time-out ends the session", async () => {
    const { peer, stream } = await withStream({ writeTimeoutMillis: 60_000 })
    const events = watch(stream)
    peer.transport.blocked = true
    stream.write(Buffer.alloc(1_000_000))
    await turn()
    peer.timers.advance(50_000)
    peer.transport.onDrain()
    peer.timers.advance(59_000)
    assert.isFalse(peer.session.closed, "some of it was taken")
    peer.timers.advance(2_000)
    await turn()
    assert.strictEqual(peer.end, "write_timeout")
    assert.isTrue(peer.transport.terminated)
    assert.deepStrictEqual(events, ["error write_timeout", "close"])
  })

  it("Y94 a stream that asks and answers goes on beside a bulky one", async () => {
    const { client, server } = pair({ sendHighWater: 64 * 1024 }, { bytesPerRound: 128 * 1024 })
    const bulk = client.open()
    let bulkBytes = 0
    server.onStream = (stream) => {
      if (stream.id === bulk.id) stream.on("data", (chunk: Buffer) => (bulkBytes += chunk.length))
      else stream.pipe(stream)
    }
    const pour = (): void => {
      while (bulk.write(Buffer.alloc(256 * 1024))) {
        // As much as it takes.
      }
    }
    bulk.on("drain", pour)
    pour()
    const talk = client.open()
    for (let n = 0; n < 50; n++) {
      const before = bulkBytes
      talk.write("?")
      await once(talk, "data")
      assert.isBelow(bulkBytes - before, 2_000_000)
    }
    assert.isAbove(bulkBytes, 1_000_000)
    client.destroy()
  })

  it("Y95 the small frames of a turn leave in few messages, and a lone one at the turn's end", async () => {
    const peer = new Scripted("server")
    for (let n = 0; n < 100; n++) peer.feed(wnd(2 * n + 1, 0, "SYN"))
    await peer.sent()
    for (const stream of peer.streams) stream.write(Buffer.alloc(1_024))
    await turn()
    const sizes = peer.transport.messages.map((message) => message.length)
    assert.strictEqual(sizes.length, 2)
    assert.isTrue(sizes.every((size) => size <= 64 * 1024))
    await peer.sent()
    peer.stream().write("lone")
    await turn()
    assert.strictEqual(peer.transport.messages.length, 1)
  })

  it(
    "Y91 bulk both ways over a slow link with small buffers does not lock up",
    { timeout: 60_000 },
    async () => {
      const { client } = pair({ sendHighWater: 16 * 1024 }, { bytesPerRound: 20_000 })
      const streams = Array.from({ length: 4 }, () => client.open())
      const total = 2 << 20
      await Promise.all(
        streams.map(async (stream) => {
          stream.end(Buffer.alloc(total))
          let echoed = 0
          for await (const chunk of stream) echoed += chunk.length
          assert.strictEqual(echoed, total)
        })
      )
      client.destroy()
    }
  )
})

describe("yamux sessions ending", () => {
  it("Y87 close sends what was written, GoAway 0, and closes the transport", async () => {
    const { client, server } = pair()
    const received: Array<Buffer> = []
    const ended = new Promise<Error | undefined>((resolve) => (server.onClose = resolve))
    server.onStream = (stream) => stream.on("data", (chunk: Buffer) => received.push(chunk))
    const reasons: Array<number> = []
    server.onGoAway = (code) => reasons.push(code)
    const payload = Buffer.alloc(1_000_000, 7)
    client.open().write(payload)
    await client.close()
    assert.isUndefined(await ended)
    assert.isTrue(Buffer.concat(received).equals(payload))
    assert.deepStrictEqual(reasons, [0])
    assert.isTrue(client.closed)
  })

  it("Y87 close does not wait for ever for a peer that takes nothing", async () => {
    const { peer, stream } = await withStream()
    stream.write(Buffer.alloc(WINDOW + 1))
    void peer.session.close()
    await turn()
    assert.isFalse(peer.session.closed)
    peer.timers.advance(5_000)
    assert.isTrue(peer.session.closed)
    assert.strictEqual(peer.transport.closedWith?.code, 1000)
  })

  it("Y88 what was received with its FIN is readable after the session's end, and then ends", async () => {
    for (const writable of [true, false]) {
      const { peer, stream } = await withStream()
      peer.feed(data(1, "all of it"), wnd(1, 0, "FIN"))
      if (!writable) stream.end()
      await turn()
      peer.transport.onClose(new Error("cut"))
      const writing = writable ? write(stream, 1) : undefined
      await turn()
      const events = watch(stream)
      await turn()
      const after = writable ? ["error transport_closed", "close"] : ["close"]
      assert.deepStrictEqual(events, ["all of it", "end", ...after])
      if (writing !== undefined) assert.strictEqual(await writing, "transport_closed")
    }
  })

  it("Y89 the transport's end fails what is not finished, once each", async () => {
    const { peer, stream } = await withStream()
    const events = watch(stream)
    const writing = write(stream, WINDOW + 1)
    const own = watch(peer.session.open())
    const pinging = outcome(peer.session.ping())
    await turn()
    peer.transport.onClose(new Error("cut"))
    await turn()
    assert.deepStrictEqual(events, ["error transport_closed", "close"])
    assert.deepStrictEqual(own, ["error transport_closed", "close"])
    assert.strictEqual(await writing, "transport_closed")
    assert.strictEqual(await pinging, "transport_closed")
    assert.strictEqual(peer.end, "transport_closed")
    assert.strictEqual(peer.ends[0]?.message, "the transport closed: cut")
  })

  it("Y90 after the end everything is refused, and no error goes unhandled", async () => {
    const { peer, stream } = await withStream()
    peer.session.destroy()
    assert.strictEqual(
      thrown(() => peer.session.open()),
      "session_closed"
    )
    assert.strictEqual(await outcome(peer.session.ping()), "session_closed")
    assert.strictEqual(await write(stream, 1), "ERR_STREAM_DESTROYED")
    assert.strictEqual(await outcome(peer.session.close()), "resolved")
    peer.session.goAway()
    peer.session.destroy(new Error("again"))
    peer.transport.onClose()
    await turn()
    assert.strictEqual(peer.ends.length, 1)
  })

  it("Y96 two clients find out at the first SYN", async () => {
    const peer = new Scripted("client")
    peer.session.open()
    peer.feed(wnd(1, 0, "SYN"))
    assert.strictEqual(peer.end, "protocol_error")
  })
})
