import { assert, describe, it } from "@effect/vitest"
import { turn, watch, Scripted } from "./support/Scripted.ts"
import { data, header, ping, wnd } from "@edge-relay/testkit/yamux/Wire"

/** Opens, writes, pings, ends: one of each kind of frame, for a server. */
const script = Buffer.concat([
  wnd(1, 0, "SYN"),
  data(1, "hello "),
  ping(7, "SYN"),
  data(3, "both", "SYN"),
  data(1, "world"),
  wnd(1, 1000),
  data(3, "", "FIN"),
  wnd(1, 0, "FIN")
])

/** Plays the script in chunks of the given sizes to an echoing session. */
const play = async (chunks: ReadonlyArray<Buffer>) => {
  const peer = new Scripted("server")
  const events: Array<Array<string>> = []
  peer.session.onStream = (stream) => {
    const text: Array<string> = [""]
    events.push(text)
    stream.on("data", (chunk: Buffer) => (text[0] += chunk.toString()))
    stream.on("end", () => {
      text.push("end")
      stream.end("bye")
    })
  }
  peer.feed(...chunks)
  const sent = await peer.sent()
  return { events, sent }
}

const cut = (bytes: Buffer, size: number): Array<Buffer> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size)
  )

describe("yamux framing", () => {
  it("Y01 a header cut at each of its inner positions is read as if whole", async () => {
    for (let at = 1; at < 12; at++) {
      const peer = new Scripted("server")
      const frame = ping(0xdeadbeef, "SYN")
      peer.feed(frame.subarray(0, at), frame.subarray(at))
      assert.deepStrictEqual(await peer.sent(), [`PING ACK 0 ${0xdeadbeef}`], `cut at ${at}`)
    }
  })

  it("Y02 a whole session fed byte by byte gives the same events and the same frames", async () => {
    const whole = await play([script])
    assert.deepStrictEqual(whole.events, [
      ["hello world", "end"],
      ["both", "end"]
    ])
    for (const size of [1, 2, 5, 13]) assert.deepStrictEqual(await play(cut(script, size)), whole)
  })

  it("Y03 a payload spread over many chunks arrives in order, in parts, and is charged once", async () => {
    const peer = new Scripted("server")
    peer.feed(wnd(1, 0, "SYN"))
    const events = watch(peer.stream())
    await turn()
    const frame = data(1, "abcdefghij")
    peer.feed(frame.subarray(0, 15))
    assert.deepStrictEqual(events, ["abc"], "early")
    peer.feed(frame.subarray(15, 18), frame.subarray(18))
    assert.deepStrictEqual(events, ["abc", "def", "ghij"])
    peer.stream().pause()
    // The rest of the window, to the byte.
    peer.feed(data(1, 262_144 - 10))
    assert.isFalse(peer.session.closed)
    peer.feed(data(1, 1))
    assert.strictEqual(peer.end, "protocol_error")
  })

  it("Y04 a header and its body in two chunks, as Go's adapters send them, work", async () => {
    const peer = new Scripted("server")
    peer.feed(wnd(1, 0, "SYN"))
    const events = watch(peer.stream())
    const frame = data(1, "body")
    peer.feed(frame.subarray(0, 12), frame.subarray(12))
    await turn()
    assert.deepStrictEqual(events, ["body"])
  })

  it("Y05 the tail of one frame, a whole one and the head of a third in one chunk", async () => {
    const peer = new Scripted("server")
    const [first, second, third] = [ping(1, "SYN"), ping(2, "SYN"), ping(3, "SYN")]
    peer.feed(first.subarray(0, 7))
    peer.feed(Buffer.concat([first.subarray(7), second, third.subarray(0, 5)]))
    assert.deepStrictEqual(await peer.sent(), ["PING ACK 0 1", "PING ACK 0 2"])
    peer.feed(third.subarray(5))
    assert.deepStrictEqual(await peer.sent(), ["PING ACK 0 3"])
  })

  it("Y06 100,000 pings in one message are all answered, in linear time", async () => {
    const answer = async (count: number) => {
      const peer = new Scripted("server")
      const pings = Buffer.concat(Array.from({ length: count }, (_, token) => ping(token, "SYN")))
      const before = process.cpuUsage()
      peer.feed(pings)
      const frames = await peer.frames()
      const { system, user } = process.cpuUsage(before)
      assert.strictEqual(frames.length, count)
      assert.isTrue(frames.every((frame, token) => frame.flags === "ACK" && frame.length === token))
      return system + user
    }
    await answer(20_000)
    // Five times as many take five times as long; were it quadratic, twenty-five times. CPU time is this process's.
    const few = await answer(20_000)
    assert.isBelow((await answer(100_000)) / few, 15)
  })

  it("Y08 an empty chunk is ignored, and what is no byte stream is a protocol error", async () => {
    const peer = new Scripted("server")
    peer.feed(Buffer.alloc(0), ping(1, "SYN"), Buffer.alloc(0))
    assert.deepStrictEqual(await peer.sent(), ["PING ACK 0 1"])
    peer.transport.onProtocolError("a text message")
    assert.strictEqual(peer.end, "protocol_error")
    assert.deepStrictEqual(await peer.sent(), ["GOAWAY 0 1"])
    assert.strictEqual(peer.transport.closedWith?.code, 4009)
  })

  it("Y09 a version other than 0 is a protocol error", async () => {
    for (const version of [1, 255]) {
      const peer = new Scripted("server")
      peer.feed(header(2, 1, 0, 1, version))
      assert.strictEqual(peer.end, "protocol_error")
      assert.strictEqual(peer.ends[0]?.message, `frame version ${version} is not 0`)
      assert.deepStrictEqual(await peer.sent(), ["GOAWAY 0 1"])
    }
  })

  it("Y10 a type above 3 is a protocol error", async () => {
    for (const type of [4, 255]) {
      const peer = new Scripted("server")
      peer.feed(header(type, 0, 1, 0))
      assert.strictEqual(peer.end, "protocol_error")
      assert.strictEqual(peer.ends[0]?.message, `frame type ${type} is unknown`)
    }
  })

  it("Y11 unknown flag bits are ignored, and the frame is handled, with every combination of known ones", async () => {
    const peer = new Scripted("server")
    peer.feed(header(2, 0x11, 0, 5), header(1, 0xfff0 | 1, 1, 0))
    assert.deepStrictEqual(await peer.sent(), ["PING ACK 0 5", "WND ACK 1 0"])
    for (let type = 0; type <= 1; type++) {
      for (let flags = 0; flags < 16; flags++) {
        const other = new Scripted("server")
        other.feed(wnd(1, 0, "SYN"))
        other.feed(header(type, flags | 0x8000, 1, 0))
        await turn()
        assert.strictEqual(other.session.closed, (flags & 1) === 1, "only a second SYN is a fault")
      }
    }
  })

  it("Y12 the transport's end inside a header or a payload fails the streams, never ends them", async () => {
    const frame = data(1, "payload")
    for (const at of [5, 14]) {
      const peer = new Scripted("server")
      peer.feed(wnd(1, 0, "SYN"))
      const events = watch(peer.stream())
      peer.feed(frame.subarray(0, at))
      peer.transport.onClose()
      await turn()
      assert.strictEqual(peer.end, "unexpected_end")
      assert.deepStrictEqual(events.slice(-2), ["error unexpected_end", "close"])
      assert.notInclude(events, "end")
    }
  })
})
