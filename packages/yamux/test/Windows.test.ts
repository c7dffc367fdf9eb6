import { createHash } from "node:crypto"
import { once } from "node:events"
import { assert, describe, it } from "@effect/vitest"
import { ReceiveWindow } from "../src/internal/ReceiveWindow.ts"
import { Session } from "../src/Session.ts"
import type { Stream } from "../src/Stream.ts"
import { memoryInUse } from "./support/Heap.ts"
import { MemoryTransport } from "./support/MemoryTransport.ts"
import { pair } from "./support/Pair.ts"
import { Random } from "@edge-relay/testkit/Random"
import { thrown, turn, watch, write, Scripted } from "./support/Scripted.ts"
import { data, header, ping, wnd } from "@edge-relay/testkit/yamux/Wire"

const WINDOW = 262_144

/** A server with one inbound stream, and nothing sent that a test has to skip. */
const withStream = async (options = {}) => {
  const peer = new Scripted("server", options)
  peer.feed(wnd(1, 0, "SYN"))
  await peer.sent()
  return { peer, stream: peer.stream() }
}

const payloadOf = (frames: ReadonlyArray<{ readonly payload: Buffer }>): number =>
  frames.reduce((sum, frame) => sum + frame.payload.length, 0)

const tick = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve))

describe("yamux windows, sending", () => {
  it("Y36 a sender stops at its window, its write pending, and goes on in the turn of the update", async () => {
    const { peer, stream } = await withStream()
    let written = 0
    for (let n = 0; n < 6; n++) stream.write(Buffer.alloc(50_000), () => written++)
    assert.strictEqual(payloadOf(await peer.frames()), WINDOW)
    assert.isBelow(written, 6)
    peer.feed(wnd(1, 20_000))
    await tick()
    assert.strictEqual(payloadOf(await peer.frames()), 20_000)
    peer.feed(wnd(1, 100_000))
    assert.strictEqual(payloadOf(await peer.frames()), 300_000 - WINDOW - 20_000)
    assert.strictEqual(written, 6)
  })

  it("Y37 one large write becomes frames of at most the frame limit and the window", async () => {
    const { peer, stream } = await withStream({ maxFramePayload: 16 * 1024 })
    stream.write(Buffer.alloc(100_000))
    const frames = await peer.frames()
    assert.deepStrictEqual(
      frames.map((frame) => frame.length),
      [...Array(6).fill(16_384), 1_696]
    )
  })

  it("Y58 neither end assumes more than the initial window before it was told", async () => {
    const { peer } = await withStream({ initialWindow: 1_000_000 })
    peer.feed(data(3, WINDOW + 1, "SYN"))
    assert.strictEqual(peer.end, "protocol_error")
    const told = new Scripted("server", { initialWindow: 1_000_000 })
    told.feed(wnd(1, 0, "SYN"))
    assert.deepStrictEqual(await told.sent(), [`WND ACK 1 ${1_000_000 - WINDOW}`])
    told.feed(data(1, 1_000_000))
    assert.isFalse(told.session.closed)
  })

  it("Y44 updates that sum past 2^32 - 1 stop there, and do not wrap", async () => {
    const { peer, stream } = await withStream()
    for (let n = 0; n < 3; n++) peer.feed(wnd(1, 0xffff_ffff))
    assert.strictEqual(await write(stream, 1_000_000), "written")
    assert.strictEqual(payloadOf(await peer.frames()), 1_000_000)
    assert.isFalse(peer.session.closed)
  })

  it("Y45 an update of nothing has no effect", async () => {
    const { peer, stream } = await withStream()
    peer.feed(wnd(1, 0), wnd(1, 0))
    assert.deepStrictEqual(await peer.sent(), [])
    stream.write("x")
    assert.deepStrictEqual(await peer.sent(), ["DATA 1 1"])
  })
})

describe("yamux windows, receiving", () => {
  it("Y38 with no reader at most a window is held, and no update is sent", async () => {
    const { peer } = await withStream()
    for (let n = 0; n < 4; n++) peer.feed(data(1, WINDOW / 4))
    assert.deepStrictEqual(await peer.sent(), [])
    assert.strictEqual(peer.session.stats.unreadBytes, WINDOW)
    peer.feed(data(1, 1))
    assert.strictEqual(peer.end, "protocol_error")
    assert.strictEqual(peer.session.stats.unreadBytes, 0)
  })

  it("Y39 half a window consumed is granted again, exactly; less is not", async () => {
    const { peer, stream } = await withStream()
    stream.resume()
    await turn()
    // Slowly: a busy stream would have the round trip measured too.
    peer.timers.advance(2_000)
    peer.feed(data(1, WINDOW / 2 - 1))
    assert.deepStrictEqual(await peer.sent(), [])
    peer.feed(data(1, 100))
    assert.deepStrictEqual(await peer.sent(), [`WND 1 ${WINDOW / 2 + 99}`])
  })

  it("Y39 what waits in the stream's own buffer is not consumed", async () => {
    const { peer, stream } = await withStream()
    await turn()
    stream.read(0)
    peer.timers.advance(2_000)
    peer.feed(data(1, WINDOW))
    assert.deepStrictEqual(await peer.sent(), [])
    let taken = 0
    for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) taken += chunk.length
    assert.strictEqual(taken, WINDOW)
    assert.deepStrictEqual(await peer.sent(), [`WND 1 ${WINDOW}`])
    stream.unshift(Buffer.alloc(WINDOW))
    stream.resume()
    assert.deepStrictEqual(await peer.sent(), [], "bytes that were put back are not granted twice")
  })

  it("Y40 the window that is open stays between nothing and its size, whatever happens", () => {
    const random = new Random(40)
    const window = new ReceiveWindow(WINDOW, 0)
    let [received, granted, unread] = [0, 0, 0]
    for (let step = 0; step < 100_000; step++) {
      const length = random.below(WINDOW + 1000)
      if (random.below(2) === 0) {
        if (window.receive(length)) {
          received += length
          unread += length
        } else assert.isAbove(length, window.available)
      } else {
        const taken = random.below(unread + 1)
        unread -= taken
        window.consume(taken)
        if (window.due) granted += window.grant(step, random.below(100) === 0 ? 4_096 : 0)
      }
      const open = WINDOW + granted - received
      assert.strictEqual(open, window.available)
      assert.isTrue(open >= 0 && open + unread <= window.size)
    }
  })

  it("Y41 exactly the window is accepted; one byte more ends the session before it is buffered", async () => {
    for (const parts of [[WINDOW], [WINDOW - 1, 1]]) {
      const { peer } = await withStream()
      peer.feed(...parts.map((part) => data(1, part)))
      assert.isFalse(peer.session.closed)
    }
    for (const parts of [[WINDOW + 1], [WINDOW, 1]]) {
      const { peer } = await withStream()
      peer.feed(...parts.map((part) => data(1, part).subarray(0, part === WINDOW ? undefined : 12)))
      assert.strictEqual(peer.end, "protocol_error")
      assert.deepStrictEqual(await peer.sent(), ["GOAWAY 0 1"])
    }
  })

  it("Y42 a frame of 2^32 - 1 bytes is refused by its header alone, on any stream", async () => {
    for (const id of [1, 99]) {
      const { peer } = await withStream()
      peer.feed(header(0, 0, id, 0xffff_ffff))
      assert.strictEqual(peer.end, "protocol_error")
      assert.include(peer.ends[0]?.message, "frame length 4294967295")
    }
  })

  it("Y43 DATA with SYN past the initial window is refused, and no stream is left", async () => {
    const peer = new Scripted("server")
    peer.feed(header(0, 1, 1, WINDOW + 1))
    assert.strictEqual(peer.end, "protocol_error")
    assert.strictEqual(peer.streams.length, 0)
    assert.strictEqual(peer.session.stats.streams, 0)
  })

  it("Y46 empty DATA frames, a hundred thousand of them, make no event and cost no memory", async () => {
    const { peer, stream } = await withStream()
    const events = watch(stream)
    const many = Buffer.concat(Array.from({ length: 10_000 }, () => data(1, "")))
    const before = await memoryInUse()
    for (let n = 0; n < 10; n++) peer.feed(many)
    assert.isBelow((await memoryInUse()) - before, 1_000_000)
    peer.feed(data(1, "x"))
    assert.deepStrictEqual(events, ["x"])
  })

  it("Y47 FIN on an empty DATA frame ends the stream; on a full one, after its payload", async () => {
    const peer = new Scripted("server")
    peer.feed(wnd(1, 0, "SYN"), wnd(3, 0, "SYN"))
    const [empty, full] = [watch(peer.stream(0)), watch(peer.stream(1))]
    const last = data(3, "last", "FIN")
    peer.feed(data(1, "", "FIN"), last.subarray(0, 14))
    await turn()
    assert.deepStrictEqual([empty, full], [["end"], ["la"]])
    peer.feed(last.subarray(14))
    await turn()
    assert.deepStrictEqual(full, ["la", "st", "end"])
  })

  it("Y48 RST on a DATA frame resets the stream, and its payload is skipped", async () => {
    const { peer, stream } = await withStream()
    const events = watch(stream)
    peer.feed(Buffer.concat([data(1, "never", "RST"), ping(3, "SYN")]))
    assert.deepStrictEqual(await peer.sent(), ["PING ACK 0 3"])
    assert.deepStrictEqual(events, ["error ECONNRESET", "close"])
  })

  it("Y49 262,144 one-byte frames unread cost no more than the window", async () => {
    const { peer, stream } = await withStream()
    const many = Buffer.concat(Array.from({ length: 1024 }, () => data(1, 1)))
    stream.read(0)
    peer.timers.advance(2_000)
    const before = await memoryInUse()
    for (let n = 0; n < WINDOW / 1024; n++) peer.feed(many)
    assert.isBelow((await memoryInUse()) - before, 4 * WINDOW)
    assert.strictEqual(peer.session.stats.unreadBytes, WINDOW)
    stream.resume()
    await turn()
    assert.strictEqual(peer.session.stats.unreadBytes, 0)
  })

  it("Y50 a byte that is kept of each of 1,000 large messages does not keep the messages", async () => {
    const { peer } = await withStream()
    peer.feed(wnd(3, 0, "SYN"), wnd(5, 0, "SYN"))
    const kept: Array<Buffer> = []
    peer.stream(0).on("data", (chunk: Buffer) => kept.push(chunk))
    peer.stream(1).on("data", () => {})
    await turn()
    const before = await memoryInUse()
    for (let n = 0; n < 1_000; n++) {
      const message = Buffer.allocUnsafeSlow(64 * 1024)
      const bulk = message.length - 2 * 13 - 12
      data(1, 1).copy(message, 0)
      data(3, bulk).copy(message, 13)
      data(5, 1).copy(message, message.length - 13)
      peer.transport.onData(message)
    }
    assert.isBelow((await memoryInUse()) - before, 2_000_000)
    assert.strictEqual(kept.length, 1_000)
  })

  it("Y51 only payload counts in the window", async () => {
    const { peer } = await withStream()
    for (let n = 0; n < 30_000; n++) peer.feed(ping(n, "SYN"), wnd(1, 0), data(1, ""))
    peer.feed(data(1, WINDOW))
    assert.isFalse(peer.session.closed)
  })

  it("Y52 DATA for a stream that is unknown or was reset is skipped, without a reply", async () => {
    const { peer, stream } = await withStream()
    stream.destroy()
    assert.deepStrictEqual(await peer.sent(), ["WND RST 1 0"])
    peer.feed(data(1, 1_000), data(77, 1_000), ping(1, "SYN"))
    assert.deepStrictEqual(await peer.sent(), ["PING ACK 0 1"])
    assert.strictEqual(peer.session.stats.unreadBytes, 0)
  })

  it("Y52 each such frame of data is told, and no other", async () => {
    const { peer, stream } = await withStream()
    const told: Array<readonly [id: number, bytes: number]> = []
    peer.session.onStrayData = (id, bytes) => void told.push([id, bytes])
    peer.feed(data(1, 10), data(77, 1_000), data(78, 0), wnd(79, 5), wnd(79, 0, "RST"))
    stream.destroy()
    peer.feed(data(1, 20))
    assert.deepStrictEqual(told, [
      [77, 1_000],
      [1, 20]
    ])
    peer.session.onStrayData = () => {
      throw new Error("a handler's own fault")
    }
    const faults: Array<unknown> = []
    peer.session.onHandlerError = (error) => faults.push(error)
    peer.feed(data(77, 1), ping(1, "SYN"))
    assert.strictEqual(faults.length, 1)
    assert.isFalse(peer.session.closed)
  })

  it("Y53 other frames for an unknown stream are ignored: no RST comes back", async () => {
    const peer = new Scripted("server")
    peer.feed(wnd(9, 5), wnd(9, 0, "FIN"), wnd(9, 0, "RST"), wnd(9, 0, "ACK"), wnd(2, 0, "ACK"))
    assert.deepStrictEqual(await peer.sent(), [])
    assert.isFalse(peer.session.closed)
  })

  it("Y54 a window below the protocol's is refused when the session is made, as any bad option is", () => {
    const wrong = [
      { maxWindow: WINDOW - 1 },
      { initialWindow: 1 },
      { maxStreams: 0 },
      { maxFramePayload: 65_537 },
      { writeTimeoutMillis: Number.NaN },
      { initialWindow: 1_000_000, maxWindow: 500_000 }
    ]
    for (const options of wrong) {
      const make = () => new Session("client", new MemoryTransport(), options)
      assert.strictEqual(thrown(make), "invalid_options")
    }
  })
})

describe("yamux windows, between two sessions", () => {
  const digest = async (stream: Stream): Promise<string> => {
    const hash = createHash("sha256")
    for await (const chunk of stream) hash.update(chunk)
    return hash.digest("hex")
  }

  const send = async (stream: Stream, total: number, size: number): Promise<string> => {
    const hash = createHash("sha256")
    for (let sent = 0; sent < total; sent += size) {
      const chunk = Buffer.alloc(Math.min(size, total - sent), sent % 251)
      hash.update(chunk)
      if (!stream.write(chunk)) await once(stream, "drain")
    }
    stream.end()
    return hash.digest("hex")
  }

  it("Y55 32 MiB on one stream, and 2 MiB on each of 16, arrive whole", async () => {
    const { client, server } = pair()
    const received = new Map<number, Promise<string>>()
    server.onStream = (stream) => received.set(stream.id, digest(stream))
    const jobs = [
      { total: 32 << 20, size: 60_000 },
      ...Array.from({ length: 16 }, () => ({ total: 2 << 20, size: 4_096 }))
    ]
    const sent = await Promise.all(
      jobs.map(async ({ size, total }) => {
        const stream = client.open()
        return [stream.id, await send(stream, total, size)] as const
      })
    )
    for (const [id, hash] of sent) assert.strictEqual(await received.get(id), hash)
    client.destroy()
  })

  it("Y56 1,000 writes of four bytes arrive, and then neither end has a stream", async () => {
    const { client, server } = pair()
    const stream = client.open()
    for (let n = 0; n < 1_000; n++) stream.write(n.toString().padStart(4, "0"))
    stream.end()
    const text = Buffer.concat(await stream.toArray()).toString()
    assert.strictEqual(text, Array.from({ length: 1_000 }, (_, n) => n.toString().padStart(4, "0")).join(""))
    assert.strictEqual(client.stats.streams + server.stats.streams, 0)
    client.destroy()
  })

  it("Y57 50 streams of 1,000 questions each get every answer, in order", async () => {
    const { client } = pair()
    const asks = Array.from({ length: 50 }, async () => {
      const stream = client.open()
      for (let n = 0; n < 1_000; n++) {
        stream.write(`${n}`)
        const [answer] = await once(stream, "data")
        assert.strictEqual(answer.toString(), `${n}`)
      }
      stream.destroy()
    })
    await Promise.all(asks)
    client.destroy()
  })
})
