import { data, goAway, ping, wnd } from "@edge-relay/testkit/yamux/Wire"
import { assert, describe, it } from "vitest"
import { Scripted } from "./support/Scripted.ts"

/** Y107: frames that move nothing have a budget. */

/** A session with stream 1, from the peer, open, and stream 2, of ours, that the peer has answered. */
const opened = async (options = {}) => {
  const peer = new Scripted("server", options)
  peer.feed(wnd(1, 0, "SYN"))
  peer.session.open()
  peer.feed(wnd(2, 0, "ACK"))
  await peer.sent()
  return peer
}

const kinds: ReadonlyArray<readonly [string, Buffer]> = [
  ["pings", ping(1, "SYN")],
  ["pongs that nobody asked for", ping(0xdead, "ACK")],
  ["pings without flags", ping(1)],
  ["empty data", data(1, "")],
  ["window updates of 0", wnd(1, 0)],
  ["window updates for what was not sent", wnd(1, 1)],
  ["acknowledgements of what was acknowledged", wnd(2, 0, "ACK")],
  ["window updates for a stream that is not open", wnd(99, 1)],
  ["resets of a stream that is not open", wnd(99, 0, "RST")],
  ["ends of a stream that is not open", wnd(99, 0, "FIN")],
  ["data for a stream that is not open", data(99, "x")],
  ["GoAways", goAway(0)],
  ["messages that are empty", Buffer.alloc(0)]
]

const many = (frame: Buffer, count: number): ReadonlyArray<Buffer> =>
  frame.length === 0
    ? Array.from({ length: count }, () => frame)
    : [Buffer.concat(Array.from({ length: count }, () => frame))]

describe("frames that move nothing", () => {
  it.each(kinds)("Y107 %s, a hundred thousand at once, are borne", async (_, frame) => {
    const peer = await opened()
    peer.feed(...many(frame, 100_000))
    assert.isFalse(peer.session.closed)
  })

  it.each(kinds)("Y107 %s, a million at once, end the session with GoAway 1 and 4009", async (_, frame) => {
    const peer = await opened()
    for (let n = 0; n < 10 && !peer.session.closed; n++) peer.feed(...many(frame, 100_000))
    assert.strictEqual(peer.end, "too_many_useless_frames")
    assert.strictEqual(peer.transport.closedWith?.code, 4009)
    assert.strictEqual((await peer.sent()).at(-1), "GOAWAY 0 1")
    assert.strictEqual(peer.stream().destroyed, true)
  })

  it.each(kinds)("Y107 %s at a rate below the limit go on for ever", async (_, frame) => {
    const peer = await opened({ uselessFrameBurst: 100, uselessFramesPerSecond: 1_000 })
    for (let second = 0; second < 100; second++) {
      peer.timers.advance(100)
      peer.feed(...many(frame, 99))
    }
    assert.isFalse(peer.session.closed)
  })

  it("Y107 a window update for each frame of data that was sent does not count", async () => {
    const peer = await opened({ uselessFrameBurst: 1, uselessFramesPerSecond: 0 })
    for (let n = 0; n < 1_000; n++) {
      peer.stream().write("x")
      await peer.sent()
      peer.feed(wnd(1, 1))
    }
    assert.isFalse(peer.session.closed)
  })

  it("Y107 opening, using and closing streams does not count", async () => {
    const peer = await opened({ uselessFrameBurst: 1, uselessFramesPerSecond: 0 })
    for (let id = 3; id < 2_003; id += 2) {
      peer.feed(wnd(id, 0, "SYN"), data(id, "x"), data(id, "", "FIN"))
      const stream = peer.streams.at(-1)
      stream?.resume()
      stream?.end("y")
      await peer.sent()
    }
    assert.isFalse(peer.session.closed)
  })

  it("Y107 the session beside one that is flooded goes on", async () => {
    const flooded = await opened()
    const beside = await opened()
    for (const [, frame] of kinds) flooded.feed(...many(frame, 100_000))
    assert.isTrue(flooded.session.closed)
    beside.feed(data(1, "still"))
    assert.strictEqual(String(beside.stream().read()), "still")
    assert.isFalse(beside.session.closed)
  })
})
