import { assert, describe, it } from "@effect/vitest"
import { Session } from "../src/Session.ts"
import { link } from "./support/Link.ts"
import { thrown, turn, watch, Scripted } from "./support/Scripted.ts"
import { data, ping, wnd } from "@edge-relay/testkit/yamux/Wire"

describe("yamux opening", () => {
  it("Y13 open sends a window update with SYN, ids 1, 3, 5 from a client and 2, 4, 6 from a server", async () => {
    const client = new Scripted("client")
    const server = new Scripted("server", { initialWindow: 300_000 })
    for (const peer of [client, server]) for (let n = 0; n < 3; n++) peer.session.open()
    assert.deepStrictEqual(await client.sent(), ["WND SYN 1 0", "WND SYN 3 0", "WND SYN 5 0"])
    const surplus = 300_000 - 262_144
    assert.deepStrictEqual(
      await server.sent(),
      [2, 4, 6].map((id) => `WND SYN ${id} ${surplus}`)
    )
  })

  it("Y14 data written right after open is sent before any ACK", async () => {
    const peer = new Scripted("client")
    peer.session.open().write("early")
    assert.deepStrictEqual(await peer.sent(), ["WND SYN 1 0", "DATA 1 5"])
  })

  it("Y15 a SYN is acknowledged at once, though the application neither reads nor writes", async () => {
    const peer = new Scripted("server")
    peer.feed(wnd(1, 0, "SYN"))
    assert.strictEqual(peer.streams.length, 1)
    assert.deepStrictEqual(await peer.sent(), ["WND ACK 1 0"])
  })

  it("Y16 DATA with SYN opens a stream and delivers its payload", async () => {
    const peer = new Scripted("server")
    peer.session.onStream = (stream) => peer.streams.push(stream)
    peer.feed(data(1, "first", "SYN"))
    assert.strictEqual(peer.stream().read()?.toString(), "first")
  })

  it("Y17 the window update with SYN, or with ACK, adds to the send window", async () => {
    const server = new Scripted("server")
    server.feed(wnd(1, 1_000, "SYN"))
    server.stream().write(Buffer.alloc(300_000))
    const client = new Scripted("client")
    client.session.open().write(Buffer.alloc(300_000))
    client.feed(wnd(1, 1_000, "ACK"))
    for (const peer of [server, client]) {
      const frames = await peer.frames()
      const payload = frames.reduce((sum, frame) => sum + frame.payload.length, 0)
      assert.strictEqual(payload, 263_144)
    }
  })

  it("Y18 DATA with ACK acknowledges the stream and delivers its payload", async () => {
    const peer = new Scripted("client", { acceptBacklog: 1 })
    const stream = peer.session.open()
    const events = watch(stream)
    peer.session.open()
    assert.deepStrictEqual(await peer.sent(), ["WND SYN 1 0"])
    peer.feed(data(1, "answer", "ACK"))
    assert.deepStrictEqual(events, ["answer"])
    assert.deepStrictEqual(await peer.sent(), ["WND SYN 3 0"], "its place in the backlog is free")
  })

  it("Y19 SYN with FIN opens a stream that has ended, and that we may still write to", async () => {
    const peer = new Scripted("server")
    peer.feed(wnd(1, 0, "SYN", "FIN"), data(3, "all", "SYN", "FIN"))
    const [empty, full] = [watch(peer.stream(0)), watch(peer.stream(1))]
    peer.stream(0).write("still")
    assert.deepStrictEqual(await peer.sent(), ["WND ACK 1 0", "WND ACK 3 0", "DATA 1 5"])
    assert.deepStrictEqual(empty, ["end"])
    assert.deepStrictEqual(full, ["all", "end"])
  })

  it("Y20 a first reply that is a bare FIN or RST counts as an answer", async () => {
    const peer = new Scripted("client", { acceptBacklog: 1 })
    const ended = watch(peer.session.open())
    const reset = watch(peer.session.open())
    peer.session.open()
    await peer.sent()
    peer.feed(wnd(1, 0, "FIN"))
    assert.deepStrictEqual(await peer.sent(), ["WND SYN 3 0"])
    peer.feed(wnd(3, 0, "RST"))
    assert.deepStrictEqual(await peer.sent(), ["WND SYN 5 0"])
    assert.deepStrictEqual(ended, ["end"])
    assert.deepStrictEqual(reset, ["error ECONNRESET", "close"])
  })

  it("Y21 SYN with RST leaves no stream, no reply and no place taken", async () => {
    const peer = new Scripted("server", { maxStreams: 1 })
    peer.feed(wnd(1, 0, "SYN", "RST"), data(3, "x", "SYN", "RST"))
    assert.strictEqual(peer.streams.length, 0)
    assert.strictEqual(peer.session.stats.streams, 0)
    assert.deepStrictEqual(await peer.sent(), [])
    peer.feed(wnd(5, 0, "SYN"))
    assert.strictEqual(peer.streams.length, 1)
  })

  it("Y22 SYN for a stream that is open is a protocol error", async () => {
    const peer = new Scripted("server")
    peer.feed(wnd(1, 0, "SYN"), wnd(1, 0, "SYN"))
    assert.strictEqual(peer.end, "protocol_error")
    assert.strictEqual(peer.ends[0]?.message, "stream 1 is already open")
  })

  it("Y23 SYN with id 0 is a protocol error", async () => {
    const peer = new Scripted("client")
    peer.feed(wnd(0, 0, "SYN"))
    assert.strictEqual(peer.end, "protocol_error")
  })

  it("Y24 SYN with an id that is the receiver's to give is a protocol error", async () => {
    for (const [role, id] of [
      ["server", 2],
      ["client", 1]
    ] as const) {
      const peer = new Scripted(role)
      peer.feed(wnd(id, 0, "SYN"))
      assert.strictEqual(peer.end, "protocol_error")
      assert.strictEqual(peer.ends[0]?.message, `stream id ${id} is not the peer's to open`)
    }
  })

  it("Y25 ids out of order are accepted, as Go's client sends them under concurrent opens", async () => {
    const peer = new Scripted("server")
    peer.feed(wnd(629, 0, "SYN"), wnd(609, 0, "SYN"))
    assert.deepStrictEqual(
      peer.streams.map((stream) => stream.id),
      [629, 609]
    )
  })

  it("Y26 SYN for an id that is closed on both sides is a new stream, not mixed with the old one", async () => {
    const peer = new Scripted("server")
    peer.feed(data(1, "old", "SYN", "FIN"))
    const old = watch(peer.stream(0))
    peer.stream(0).end()
    await turn()
    assert.deepStrictEqual(old, ["old", "end", "close"])
    peer.feed(data(1, "new", "SYN"))
    assert.strictEqual(peer.stream(1).read()?.toString(), "new")
    assert.strictEqual(old.length, 3)
  })

  it("Y27 past the accept backlog a SYN is answered with RST, and nothing else is disturbed", async () => {
    const peer = new Scripted("server", { acceptBacklog: 2 })
    const accepting = new Session("server", peer.transport, { acceptBacklog: 2, timers: peer.timers })
    peer.feed(wnd(1, 0, "SYN"), wnd(3, 0, "SYN"), wnd(5, 0, "SYN"), data(5, "drained"), data(1, "kept"))
    assert.deepStrictEqual(await peer.sent(), ["WND ACK 1 0", "WND ACK 3 0", "WND RST 5 0"])
    const accepted: Array<number> = []
    accepting.onStream = (stream) => accepted.push(stream.id)
    assert.deepStrictEqual(accepted, [1, 3])
    peer.feed(wnd(7, 0, "SYN"), ping(1, "SYN"))
    assert.deepStrictEqual(await peer.sent(), ["WND ACK 7 0", "PING ACK 0 1"])
    assert.deepStrictEqual(accepted, [1, 3, 7])
  })

  it("Y28 own streams past the backlog wait, and fail if the session ends meanwhile", async () => {
    const peer = new Scripted("client", { acceptBacklog: 2 })
    const streams = Array.from({ length: 4 }, () => peer.session.open())
    const events = streams.map(watch)
    streams[2]?.write("later")
    assert.deepStrictEqual(await peer.sent(), ["WND SYN 1 0", "WND SYN 3 0"])
    peer.feed(wnd(3, 0, "ACK"))
    assert.deepStrictEqual(await peer.sent(), ["WND SYN 5 0", "DATA 5 5"])
    peer.session.destroy()
    await turn()
    assert.deepStrictEqual(events[3], ["error session_closed", "close"])
  })

  it("Y28 a waiting stream that is given up sends nothing at all", async () => {
    const peer = new Scripted("client", { acceptBacklog: 1 })
    peer.session.open()
    peer.session.open().destroy()
    peer.session.open().end("x")
    await peer.sent()
    peer.feed(wnd(1, 0, "ACK"))
    assert.deepStrictEqual(await peer.sent(), ["WND SYN 5 0", "DATA 5 1", "WND FIN 5 0"])
  })

  it("Y29 five times the backlog of opens succeed against a peer that accepts", async () => {
    const [left, right] = link()
    const client = new Session("client", left, { acceptBacklog: 8 })
    const server = new Session("server", right, { acceptBacklog: 8 })
    server.onStream = (stream) => stream.pipe(stream)
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const stream = client.open()
        stream.end(`stream ${n}`)
        const chunks: Array<Buffer> = await stream.toArray()
        return Buffer.concat(chunks).toString()
      })
    )
    assert.deepStrictEqual(
      answers,
      Array.from({ length: 40 }, (_, n) => `stream ${n}`)
    )
    client.destroy()
  })

  it("Y30 streams that are closed before their ACK give their places back", async () => {
    for (const close of ["end", "destroy"] as const) {
      const peer = new Scripted("client", { acceptBacklog: 8 })
      for (let n = 0; n < 8; n++) {
        const stream = peer.session.open()
        stream.resume()
        if (close === "end") stream.end()
        else stream.destroy()
        await turn()
        if (close === "end") peer.feed(wnd(stream.id, 0, "FIN"))
      }
      const stream = peer.session.open()
      assert.include(await peer.sent(), `WND SYN ${stream.id} 0`)
    }
  })

  it("Y31 RST in reply to our SYN, even after data, fails the stream with ECONNRESET", async () => {
    const peer = new Scripted("client")
    const stream = peer.session.open()
    const events = watch(stream)
    stream.write("sent")
    await turn()
    peer.feed(wnd(1, 0, "RST"))
    await turn()
    assert.deepStrictEqual(events, ["error ECONNRESET", "close"])
    assert.strictEqual(peer.session.stats.streams, 0)
  })

  it("Y32 an ACK that nobody waits for is ignored and frees no other stream's place", async () => {
    const peer = new Scripted("client", { acceptBacklog: 2 })
    peer.feed(wnd(2, 0, "SYN"))
    peer.session.open()
    peer.session.open()
    peer.session.open()
    await peer.sent()
    peer.feed(wnd(99, 0, "ACK"), wnd(2, 0, "ACK"))
    assert.deepStrictEqual(await peer.sent(), [])
    peer.feed(wnd(1, 0, "ACK"))
    assert.deepStrictEqual(await peer.sent(), ["WND SYN 5 0"])
    peer.session.open()
    peer.feed(wnd(1, 0, "ACK"))
    assert.deepStrictEqual(await peer.sent(), [], "a second ACK")
  })

  it("Y33 no ACK within the open time-out resets the stream, or ends the session, as configured", async () => {
    const gentle = new Scripted("client")
    const answered = gentle.session.open()
    const silent = watch(gentle.session.open())
    gentle.feed(wnd(answered.id, 0, "ACK"))
    await gentle.sent()
    gentle.timers.advance(74_000)
    assert.deepStrictEqual(await gentle.sent(), [])
    gentle.timers.advance(1_000)
    assert.deepStrictEqual(await gentle.sent(), ["WND RST 3 0"])
    assert.deepStrictEqual(silent, ["error open_timeout", "close"])
    assert.isFalse(answered.destroyed)

    const strict = new Scripted("client", { openTimeoutAction: "close" })
    const events = watch(strict.session.open())
    strict.timers.advance(75_000)
    await turn()
    assert.strictEqual(strict.end, "open_timeout")
    assert.deepStrictEqual(events, ["error open_timeout", "close"])
  })

  it("Y34 past the last id open fails, and existing streams go on", async () => {
    const peer = new Scripted("client", { firstStreamId: 0xffff_ffff })
    const last = peer.session.open()
    assert.strictEqual(
      thrown(() => peer.session.open()),
      "streams_exhausted"
    )
    last.write("on")
    assert.deepStrictEqual(await peer.sent(), ["WND SYN 4294967295 0", "DATA 4294967295 2"])
  })

  it("Y35 a handler that throws costs its stream only", async () => {
    const peer = new Scripted("server")
    const faults: Array<unknown> = []
    peer.session.onHandlerError = (error) => faults.push(error)
    const failure = new Error("handler")
    peer.session.onStream = (stream) => {
      if (stream.id === 1) throw failure
      peer.streams.push(stream)
    }
    peer.feed(Buffer.concat([data(1, "lost", "SYN"), data(3, "kept", "SYN"), ping(1, "SYN")]))
    assert.strictEqual(peer.stream().read()?.toString(), "kept")
    assert.deepStrictEqual(await peer.sent(), ["WND ACK 1 0", "WND RST 1 0", "WND ACK 3 0", "PING ACK 0 1"])
    assert.deepStrictEqual(faults, [failure])
  })
})
