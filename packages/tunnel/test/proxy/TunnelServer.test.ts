import { connect } from "node:net"
import type { Duplex } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Queue, Stream } from "effect"
import type { TunnelEvent } from "@edge-relay/protocol/TunnelEvent"
import { type Claim, SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { eventually, eventuallyEffect } from "@edge-relay/testkit/Eventually"
import {
  connectRaw,
  get,
  hello,
  type RawAgent,
  type RawAgentOptions
} from "@edge-relay/testkit/tunnel/RawAgent"
import { readAll, readExactly } from "@edge-relay/testkit/Streams"
import { startProxy, type TestProxy } from "@edge-relay/testkit/tunnel/TestTunnelServer"
import { tokenOf } from "@edge-relay/testkit/TestTokens"

const { tokenId, edgeId } = tokenOf(1)

describe("the handshake", () => {
  it.live("turns down a missing and an unknown token before the upgrade, and repeats neither", () =>
    Effect.gen(function* () {
      const { url } = yield* startProxy()
      for (const token of ["", "ert_secret-of-nobody"]) {
        const refused = yield* Effect.flip(connectRaw(url, { token }))
        assert.strictEqual(refused.status, 401)
        assert.strictEqual(refused.body["code"], "unauthorized")
        assert.strictEqual(refused.headers["content-type"], "application/problem+json")
        assert.strictEqual(refused.headers["www-authenticate"], "Bearer")
        assert.notInclude(JSON.stringify(refused), "secret-of-nobody")
      }
    })
  )

  it.live("takes a first-generation token from the query, unless told not to", () =>
    Effect.gen(function* () {
      const open = yield* startProxy()
      const query = { token: "", protocols: [], path: "/tunnel/connect?token=ert_1" }
      yield* connectRaw(open.url, query)
      yield* eventuallyEffect("registration", open.store.exists(tokenId))
      const strict = yield* startProxy({ acceptQueryToken: false })
      assert.strictEqual((yield* Effect.flip(connectRaw(strict.url, query))).status, 401)
    })
  )

  it.live("chooses the first subprotocol that it knows, in the client's order", () =>
    Effect.gen(function* () {
      const { url } = yield* startProxy()
      const chosen = (protocols: ReadonlyArray<string>) =>
        Effect.map(connectRaw(url, { protocols }), ({ webSocket }) => webSocket.protocol)
      assert.strictEqual(yield* chosen(["edge-relay.v2", "edge-relay.v1"]), "edge-relay.v2")
      assert.strictEqual(yield* chosen(["edge-relay.v1", "edge-relay.v2"]), "edge-relay.v1")
      assert.strictEqual(yield* chosen(["edge-relay.v9", "edge-relay.v2"]), "edge-relay.v2")
    })
  )

  it.live("takes a client that offers no subprotocol for the first generation", () =>
    Effect.gen(function* () {
      const { url, store } = yield* startProxy()
      const { webSocket } = yield* connectRaw(url, { protocols: [] })
      assert.strictEqual(webSocket.protocol, "")
      yield* eventuallyEffect("registration", store.exists(tokenId))
      assert.strictEqual((yield* store.list)[0]?.protocol, "v1")
    })
  )

  it.live("names the subprotocols that it knows to a client that offers only others", () =>
    Effect.gen(function* () {
      const { url } = yield* startProxy()
      const refused = yield* Effect.flip(connectRaw(url, { protocols: ["edge-relay.v9"] }))
      assert.strictEqual(refused.status, 400)
      assert.include(String(refused.body["detail"]), "edge-relay.v2, edge-relay.v1")
    })
  )

  it.live("never compresses, whatever the client offers", () =>
    Effect.gen(function* () {
      const { url } = yield* startProxy()
      const { webSocket } = yield* connectRaw(url, {
        headers: { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" }
      })
      assert.strictEqual(webSocket.extensions, "")
    })
  )

  it.live("answers other paths and requests without upgrade in JSON", () =>
    Effect.gen(function* () {
      const { port, url } = yield* startProxy()
      const plain = yield* Effect.promise(() => get(`http://127.0.0.1:${port}/tunnel/connect`))
      assert.deepStrictEqual([plain.status, plain.body["code"]], [426, "upgrade_required"])
      const other = yield* Effect.promise(() => get(`http://127.0.0.1:${port}/`))
      assert.deepStrictEqual([other.status, other.body["code"]], [404, "not_found"])
      assert.strictEqual((yield* Effect.flip(connectRaw(url, { path: "/elsewhere" }))).status, 404)
    })
  )

  it.live("answers what is no WebSocket's handshake as it answers all else", () =>
    Effect.gen(function* () {
      const { port } = yield* startProxy()
      const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      const version = "Sec-WebSocket-Version: 13\r\n"
      for (const [method, headers, status, code] of [
        ["GET", `${key}Sec-WebSocket-Version: 12\r\n`, 426, "upgrade_required"],
        ["GET", key, 426, "upgrade_required"],
        ["GET", version, 400, "bad_handshake"],
        ["GET", `Sec-WebSocket-Key: short\r\n${version}`, 400, "bad_handshake"],
        ["POST", `${key}${version}`, 400, "bad_handshake"],
        [
          "GET",
          `${key}${version}Sec-WebSocket-Protocol: edge-relay.v2, edge-relay.v2\r\n`,
          400,
          "bad_handshake"
        ]
      ] as const) {
        const socket = connect(port, "127.0.0.1")
        socket.write(
          `${method} /tunnel/connect HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ert_1\r\n` +
            `Connection: Upgrade\r\nUpgrade: websocket\r\n${headers}\r\n`
        )
        const answer = String(yield* Effect.promise(() => readAll(socket)))
        const [head = "", body = ""] = answer.split("\r\n\r\n")
        assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `), answer)
        assert.include(head, "Content-Type: application/problem+json")
        assert.strictEqual(head.includes("Sec-WebSocket-Version: 13"), status === 426)
        assert.strictEqual(JSON.parse(body).code, code)
      }
    })
  )

  it.live("says when to come back while tokens cannot be checked", () =>
    Effect.gen(function* () {
      const { url, tokens } = yield* startProxy()
      tokens.isUnavailable = true
      const refused = yield* Effect.flip(connectRaw(url))
      assert.strictEqual(refused.status, 503)
      assert.isAtLeast(Number(refused.headers["retry-after"]), 1)
      assert.notInclude(JSON.stringify(refused.body), "disk")
    })
  )

  it.live("gives up on a token check that hangs", () =>
    Effect.gen(function* () {
      const { url, tokens } = yield* startProxy({ handshakeMillis: 50 })
      tokens.onAuthenticate = Effect.never
      assert.strictEqual((yield* Effect.flip(connectRaw(url))).status, 503)
    })
  )

  it.live("takes no more tunnels than it may", () =>
    Effect.gen(function* () {
      const { url } = yield* startProxy({ maxSessions: 2 })
      yield* connectRaw(url, { token: "ert_1" })
      const second = yield* connectRaw(url, { token: "ert_2" })
      const refused = yield* Effect.flip(connectRaw(url, { token: "ert_3" }))
      assert.strictEqual(refused.status, 503)
      assert.isDefined(refused.headers["retry-after"])
      second.webSocket.close()
      yield* eventuallyEffect(
        "room for another",
        Effect.isSuccess(Effect.scoped(connectRaw(url, { token: "ert_3" })))
      )
    })
  )

  it.live("stops listening to an address that guesses tokens, and to no other", () =>
    Effect.gen(function* () {
      const { url } = yield* startProxy({ failedHandshakes: { limit: 3, windowMillis: 60_000 } })
      const guess = Effect.flip(connectRaw(url, { token: "ert_x", localAddress: "127.0.0.2" }))
      for (let tries = 0; tries < 3; tries++) assert.strictEqual((yield* guess).status, 401)
      const refused = yield* guess
      assert.strictEqual(refused.status, 429)
      assert.isAbove(Number(refused.headers["retry-after"]), 30)
      const good = { token: "ert_1", localAddress: "127.0.0.2" }
      assert.strictEqual((yield* Effect.flip(connectRaw(url, good))).status, 429)
      yield* connectRaw(url, { token: "ert_1" })
    })
  )

  it.live("does not wait for a client that never finishes its request", () =>
    Effect.gen(function* () {
      const { port } = yield* startProxy()
      const socket = connect(port, "127.0.0.1")
      socket.write("GET /tunnel/connect HTTP/1.1\r\nHost: x\r\nUpgr")
      yield* Effect.promise(
        () => new Promise((resolve) => socket.on("error", resolve).on("close", resolve).resume())
      )
    })
  )

  it.live("survives a client that goes while its token is checked", () =>
    Effect.gen(function* () {
      const { url, tokens, tunnels } = yield* startProxy()
      tokens.onAuthenticate = Effect.sleep(100)
      const fiber = yield* Effect.forkChild(connectRaw(url), { startImmediately: true })
      yield* Effect.sleep(30)
      yield* Fiber.interrupt(fiber)
      tokens.onAuthenticate = Effect.void
      yield* connectRaw(url, { token: "ert_2" })
      yield* eventuallyEffect(
        "one tunnel",
        Effect.map(tunnels.totals, ({ sessions }) => sessions === 1)
      )
    })
  )
})

describe("the control stream", () => {
  it.live("welcomes an agent that says hello, and lists what it said", () =>
    Effect.gen(function* () {
      const { url, store, tokens } = yield* startProxy({ maxStreams: 77 })
      const agent = yield* connectRaw(url)
      yield* eventually("a welcome", () => agent.messages.length === 1)
      assert.deepStrictEqual(agent.messages[0], {
        type: "welcome",
        edgeId,
        heartbeatSeconds: 15,
        maxStreams: 77
      })
      const [session] = yield* store.list
      assert.deepInclude(session, {
        ...tokenOf(1),
        agent: "raw/1",
        hostname: "box",
        protocol: "v2",
        services: ["http", "ssh"],
        proxyId: "proxy-1",
        remoteAddress: "127.0.0.1",
        streams: 0
      })
      yield* eventually("the token to be marked", () => tokens.connected.includes(tokenId))
    })
  )

  it.live("keeps one token from filling the proxy with tunnels that never say hello", () =>
    Effect.gen(function* () {
      const { url } = yield* startProxy()
      const mute = connectRaw(url, { token: "ert_1", hello: "" })
      const [first] = yield* Effect.all(Array.from({ length: 8 }, () => mute))
      const refused = yield* Effect.flip(mute)
      assert.strictEqual(refused.status, 429)
      assert.isDefined(refused.headers["retry-after"])
      // Another token's do not count.
      yield* connectRaw(url, { token: "ert_2" })
      first?.control?.write(hello)
      yield* eventually("a welcome", () => first?.messages.length === 1)
      const ninth = yield* mute
      ninth.webSocket.close()
      yield* eventuallyEffect("room for another", Effect.isSuccess(Effect.scoped(mute)))
    })
  )

  it.live("is not online before it has said hello", () =>
    Effect.gen(function* () {
      const { url, store } = yield* startProxy()
      const older = yield* connectRaw(url)
      yield* eventuallyEffect("registration", store.exists(tokenId))
      const mute = yield* connectRaw(url, { hello: "" })
      mute.control?.write('{"type":"weather","fine":true}\n')
      // A round trip: by then the cloud has read it.
      yield* Effect.promise(() => mute.session.ping())
      assert.isFalse(older.session.closed)
      mute.control?.write(hello)
      yield* eventually("a welcome", () => mute.messages.length === 1)
      assert.strictEqual((yield* Effect.promise(() => older.closed)).code, 4001)
    })
  )

  it.live.each([
    { name: "no hello in time", hello: "", reason: /hello/ },
    { name: "a line that is not JSON", hello: "hello\n", reason: /not JSON/ },
    { name: "a line that is not an object", hello: "42\n", reason: /not an object/ },
    { name: "a line without end", hello: "x".repeat(65 * 1024), reason: /longer than 65536/ },
    { name: "a hello of wrong types", hello: '{"type":"hello","agent":7}\n', reason: /malformed hello/ },
    {
      name: "an address that would break a header",
      hello: `${JSON.stringify({
        type: "hello",
        services: [{ name: "http", local: { origin: "http://a\r\nX-Edge-User: y", hostHeader: "local" } }]
      })}\n`,
      reason: /malformed hello/
    }
  ])("closes with 4009 for $name", (example) =>
    Effect.gen(function* () {
      const { url, store } = yield* startProxy({ handshakeMillis: 150 })
      const agent = yield* connectRaw(url, { hello: example.hello })
      const { code, reason } = yield* Effect.promise(() => agent.closed)
      assert.strictEqual(code, 4009)
      assert.match(reason, /^protocol error: /)
      assert.match(reason, example.reason)
      assert.isFalse(yield* store.exists(tokenId))
    })
  )

  it.live("closes with 4009 when the agent ends it", () =>
    Effect.gen(function* () {
      const { url, store } = yield* startProxy()
      const agent = yield* connectRaw(url)
      yield* eventuallyEffect("registration", store.exists(tokenId))
      agent.control?.end()
      assert.strictEqual((yield* Effect.promise(() => agent.closed)).code, 4009)
    })
  )

  it.live("closes with 4009 for a text message", () =>
    Effect.gen(function* () {
      const { url } = yield* startProxy()
      const agent = yield* connectRaw(url)
      agent.webSocket.send("hello")
      const { code, reason } = yield* Effect.promise(() => agent.closed)
      assert.strictEqual(code, 4009)
      assert.match(reason, /^protocol error: /)
    })
  )

  it.live("resets a data stream that the agent opens", () =>
    Effect.gen(function* () {
      const { url } = yield* startProxy()
      for (const protocols of [["edge-relay.v1"], ["edge-relay.v2"]]) {
        const agent = yield* connectRaw(url, { protocols })
        const stream = agent.session.open()
        stream.resume().write("GET / HTTP/1.1\r\n\r\n")
        yield* eventually("a reset", () => stream.destroyed)
        assert.isFalse(agent.session.closed)
      }
    })
  )
})

describe("the newest wins", () => {
  it.live("closes the older connection with 4001, whose tear-down leaves the newer one alone", () =>
    Effect.gen(function* () {
      const { url, store, tunnels } = yield* startProxy()
      const older = yield* connectRaw(url)
      yield* eventuallyEffect("registration", store.exists(tokenId))
      const newer = yield* connectRaw(url)
      assert.deepStrictEqual(yield* Effect.promise(() => older.closed), { code: 4001, reason: "displaced" })
      yield* eventuallyEffect(
        "one tunnel",
        Effect.map(tunnels.totals, ({ sessions }) => sessions === 1)
      )
      assert.isTrue(yield* store.exists(tokenId))
      assert.isFalse(newer.session.closed)
    })
  )

  it.live("yields to a claim of another proxy the tunnel under a smaller number, and no newer one", () =>
    Effect.gen(function* () {
      const told = yield* Queue.unbounded<Claim>()
      let fence = 0
      const { url, store, tunnels } = yield* startProxy(
        {},
        Layer.succeed(SessionDirectory, {
          claim: (edgeId) => Effect.sync(() => ({ edgeId, fence: (fence += 10) })),
          release: () => Effect.succeed(true),
          locate: () => Effect.succeedNone,
          claims: Stream.fromQueue(told),
          proxies: Effect.succeed([]),
          isAccepting: Effect.succeed(true)
        })
      )
      const older = yield* connectRaw(url)
      yield* eventuallyEffect("registration", store.exists(tokenId))
      // The agent went to another proxy (15), came back (20), and the news of 15 is late.
      const newer = yield* connectRaw(url)
      yield* Effect.promise(() => older.closed)
      yield* Queue.offer(told, { edgeId, fence: 15 })
      yield* Queue.offer(told, { edgeId, fence: 15 })
      yield* eventuallyEffect(
        "the claims taken",
        Effect.map(Queue.size(told), (left) => left === 0)
      )
      assert.isFalse(newer.session.closed)
      assert.isTrue(yield* store.exists(tokenId))
      yield* Queue.offer(told, { edgeId, fence: 25 })
      assert.deepStrictEqual(yield* Effect.promise(() => newer.closed), { code: 4001, reason: "displaced" })
      yield* eventuallyEffect(
        "no tunnel",
        Effect.map(tunnels.totals, ({ sessions }) => sessions === 0)
      )
    })
  )

  it.live("puts off a token that two machines fight for, longer each time, until it is calm", () =>
    Effect.gen(function* () {
      const { url, store, tunnels } = yield* startProxy({
        silenceMillis: 4_500,
        contention: {
          returns: 100,
          fights: 5,
          withinMillis: 3_000,
          calmMillis: 1_000,
          firstDelayMillis: 1_000,
          maxDelayMillis: 300_000
        }
      })
      const events = yield* collect(tunnels.events)
      yield* connectRaw(url)
      yield* eventuallyEffect("registration", store.exists(tokenId))
      for (let fight = 1; fight <= 5; fight++) {
        const agent = yield* connectRaw(url)
        yield* eventually("a welcome", () => agent.messages.length === 1)
      }
      yield* eventually("an event", () =>
        events.some((event) => event.type === "contended" && event.contended)
      )
      const delays = []
      for (let tries = 0; tries < 3; tries++) {
        const refused = yield* Effect.flip(connectRaw(url))
        assert.strictEqual(refused.status, 429)
        delays.push(Number(refused.headers["retry-after"]))
      }
      assert.deepStrictEqual(delays, [1, 2, 4])
      yield* eventually("calm", () => events.some((event) => event.type === "contended" && !event.contended))
      yield* connectRaw(url)
    })
  )
})

/** What a stream has given so far, for as long as the scope lasts. */
const collect = Effect.fnUntraced(function* (events: Stream.Stream<TunnelEvent>) {
  const collected: Array<TunnelEvent> = []
  yield* Effect.forkScoped(Stream.runForEach(events, (event) => Effect.sync(() => collected.push(event))))
  yield* eventually("a snapshot", () => collected.length > 0)
  return collected
})

/** The service's name that the cloud asks for. */
const readPreface = async (stream: Duplex) => {
  const length = (await readExactly(stream, 2)).readUInt16BE(0)
  return (await readExactly(stream, length)).toString()
}

/** Opens a stream while the agent, by hand, does `answer` with it. */
const openWith = Effect.fnUntraced(function* (
  proxy: TestProxy,
  agent: RawAgent,
  answer: (stream: Duplex) => void,
  service = "http"
) {
  const before = agent.streams.length
  const opening = yield* Effect.forkChild(proxy.tunnels.open(edgeId, service), { startImmediately: true })
  yield* eventually("a stream", () => agent.streams.length > before)
  const theirs = agent.streams[before]
  if (theirs === undefined) return yield* Effect.die("no stream")
  if (agent.control !== undefined)
    assert.strictEqual(yield* Effect.promise(() => readPreface(theirs)), service)
  answer(theirs)
  const { stream, protocol } = yield* Fiber.join(opening)
  return { ours: stream, theirs, protocol }
})

const online = Effect.fnUntraced(function* (proxy: TestProxy, options: RawAgentOptions = {}) {
  const agent = yield* connectRaw(proxy.url, options)
  yield* eventuallyEffect("registration", proxy.store.exists(tokenId))
  return agent
})

const connected = (stream: Duplex) => void stream.write(Buffer.from([0]))

describe("a data stream", () => {
  it.live("names its service, and carries plain bytes both ways once the agent is connected", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const agent = yield* online(proxy)
      const { ours, theirs, protocol } = yield* openWith(
        proxy,
        agent,
        // The status and the service's first bytes come in one frame.
        (stream) => stream.write(Buffer.from("\0hello")),
        "ssh"
      )
      assert.strictEqual(protocol, "v2")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(ours, 5))), "hello")
      ours.write("to the edge")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(theirs, 11))), "to the edge")
    })
  )

  it.live("keeps half-close, also where the end came with the status byte", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const agent = yield* online(proxy)
      const { ours, theirs } = yield* openWith(proxy, agent, (stream) => stream.end(Buffer.from("\0bye")))
      assert.strictEqual(String(yield* Effect.promise(() => readAll(ours))), "bye")
      ours.end("still speaking")
      assert.strictEqual(String(yield* Effect.promise(() => readAll(theirs))), "still speaking")
    })
  )

  it.live.each([
    { byte: 1, tag: "EdgeRefused", refusal: "refused" },
    { byte: 2, tag: "EdgeRefused", refusal: "unreachable" },
    { byte: 3, tag: "EdgeRefused", refusal: "noSuchService" },
    { byte: 4, tag: "EdgeBusy", refusal: undefined },
    { byte: 9, tag: "EdgeReset", refusal: undefined }
  ])("fails with $tag for status byte $byte", ({ byte, tag, refusal }) =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const agent = yield* online(proxy)
      const { reason } = yield* Effect.flip(
        openWith(proxy, agent, (stream) => {
          // In two parts, the reason's length cut through.
          stream.write(Buffer.from([byte, 0]))
          setImmediate(() => stream.end(Buffer.concat([Buffer.from([6]), Buffer.from("closed")])))
        })
      )
      assert.strictEqual(reason._tag, tag)
      if (reason._tag === "EdgeRefused") {
        assert.deepStrictEqual([reason.refusal, reason.detail], [refusal, "closed"])
      }
      yield* eventuallyEffect(
        "no stream left",
        Effect.map(proxy.tunnels.totals, ({ streams }) => streams === 0)
      )
    })
  )

  it.live("fails where the agent resets it, or ends it, instead of a status", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const agent = yield* online(proxy)
      for (const answer of [(stream: Duplex) => stream.destroy(), (stream: Duplex) => stream.end()]) {
        const { reason } = yield* Effect.flip(openWith(proxy, agent, answer))
        assert.strictEqual(reason._tag, "EdgeReset")
      }
    })
  )

  it.live("is not waited for longer than it may take, nor by somebody who has gone", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy({ statusTimeoutMillis: 100 })
      const agent = yield* online(proxy)
      const { reason } = yield* Effect.flip(openWith(proxy, agent, () => undefined))
      assert.strictEqual(reason._tag, "EdgeTimeout")
      const opening = yield* Effect.forkChild(proxy.tunnels.open(edgeId, "http"), { startImmediately: true })
      yield* eventually("a second stream", () => agent.streams.length === 2)
      yield* Fiber.interrupt(opening)
      for (const stream of agent.streams) {
        stream.resume()
        yield* eventually("a reset", () => stream.destroyed)
      }
    })
  )

  it.live("is refused past the bound, with a clear error", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy({ maxStreams: 3 })
      const agent = yield* online(proxy)
      // One of the three is the control stream.
      const { ours } = yield* openWith(proxy, agent, connected)
      yield* openWith(proxy, agent, connected)
      const { reason } = yield* Effect.flip(proxy.tunnels.open(edgeId, "http"))
      assert.strictEqual(reason._tag, "EdgeBusy")
      ours.destroy()
      yield* openWith(proxy, agent, connected)
    })
  )

  it.live("has no preface and no status with a first-generation agent, which has http only", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const agent = yield* online(proxy, { protocols: ["edge-relay.v1"] })
      const { ours, theirs, protocol } = yield* openWith(proxy, agent, () => undefined)
      assert.strictEqual(protocol, "v1")
      ours.end("GET / HTTP/1.1\r\n\r\n")
      assert.strictEqual(String(yield* Effect.promise(() => readAll(theirs))), "GET / HTTP/1.1\r\n\r\n")
      const { reason } = yield* Effect.flip(proxy.tunnels.open(edgeId, "ssh"))
      assert.strictEqual(reason._tag, "EdgeRefused")
    })
  )

  it.live("cannot be opened to an edge without a tunnel", () =>
    Effect.gen(function* () {
      const { tunnels } = yield* startProxy()
      const { reason } = yield* Effect.flip(tunnels.open(edgeId, "http"))
      assert.strictEqual(reason._tag, "EdgeOffline")
    })
  )
})

describe("the life of a session", () => {
  it.live("pings, and learns the round trip", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy({ heartbeatMillis: 20 })
      yield* online(proxy)
      yield* eventuallyEffect(
        "a round trip",
        Effect.map(proxy.store.list, ([session]) => (session?.roundTripMillis ?? 0) > 0)
      )
    })
  )

  it.live("closes what has been silent for too long with 4008, and forgets it", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy({ heartbeatMillis: 50, silenceMillis: 300 })
      const silent = yield* online(proxy)
      const other = yield* connectRaw(proxy.url, { token: "ert_2" })
      // It reads nothing more, hence answers no ping.
      silent.webSocket.pause()
      yield* eventuallyEffect(
        "removal",
        Effect.map(proxy.store.exists(tokenId), (exists) => !exists)
      )
      silent.webSocket.resume()
      assert.deepStrictEqual(yield* Effect.promise(() => silent.closed), {
        code: 4008,
        reason: "heartbeat timeout"
      })
      assert.isFalse(other.session.closed)
    })
  )

  it.live("takes whatever arrives for a sign of life", () =>
    Effect.gen(function* () {
      // No ping within the test: only what the agent sends by itself can keep it alive.
      const proxy = yield* startProxy({ heartbeatMillis: 60_000, silenceMillis: 300 })
      const agent = yield* online(proxy)
      for (let sent = 0; sent < 12; sent++) {
        agent.control?.write('{"type":"weather"}\n')
        yield* Effect.sleep(50)
      }
      assert.isFalse(agent.session.closed)
      assert.isTrue(yield* proxy.store.exists(tokenId))
    })
  )

  it.live("closes with 4003 what is revoked, streams and all", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const agent = yield* online(proxy)
      const { ours } = yield* openWith(proxy, agent, connected)
      assert.isTrue(yield* proxy.tunnels.close((token) => token.edgeId === edgeId, "revoked"))
      assert.isFalse(yield* proxy.store.exists(tokenId))
      assert.deepStrictEqual(yield* Effect.promise(() => agent.closed), { code: 4003, reason: "revoked" })
      assert.isTrue(ours.destroyed)
      assert.isFalse(yield* proxy.tunnels.close((token) => token.edgeId === edgeId, "revoked"))
    })
  )

  it.live("finds out a token that was revoked between its check and its registration", () =>
    Effect.gen(function* () {
      const { url, tokens, store } = yield* startProxy()
      const agent = yield* connectRaw(url, { hello: "" })
      tokens.revoked.add(tokenId)
      agent.control?.write(hello)
      assert.strictEqual((yield* Effect.promise(() => agent.closed)).code, 4003)
      assert.isFalse(yield* store.exists(tokenId))
    })
  )

  it.live("closes the tunnel of a token that a new one replaces", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const older = yield* online(proxy)
      const next = tokenOf(101)
      assert.strictEqual(next.edgeId, edgeId)
      proxy.tokens.replaces.set(next.tokenId, [tokenId])
      const newer = yield* connectRaw(proxy.url, { token: "ert_101" })
      assert.strictEqual((yield* Effect.promise(() => older.closed)).code, 4003)
      yield* openWith(proxy, newer, connected)
    })
  )

  it.live("marks a token as in use once storage answers again", () =>
    Effect.gen(function* () {
      const { url, tokens } = yield* startProxy()
      const agent = yield* connectRaw(url, { hello: "" })
      tokens.isUnavailable = true
      agent.control?.write(hello)
      yield* eventually("a welcome", () => agent.messages.length === 1)
      tokens.isUnavailable = false
      yield* eventually("the token to be marked", () => tokens.connected.includes(tokenId))
      assert.isFalse(agent.session.closed)
    })
  )

  it.live("tells a snapshot, then each edge that comes and goes", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      yield* online(proxy)
      const events = yield* collect(proxy.tunnels.events)
      const [snapshot] = events
      assert.strictEqual(snapshot?.type === "snapshot" && snapshot.sessions.length, 1)
      const second = yield* connectRaw(proxy.url, { token: "ert_2" })
      const isOf2 = (event: TunnelEvent) =>
        event.type === "online"
          ? event.session.edgeId === tokenOf(2).edgeId
          : event.type === "offline" && event.edgeId === tokenOf(2).edgeId
      yield* eventually("online", () => events.some((event) => event.type === "online" && isOf2(event)))
      second.webSocket.terminate()
      yield* eventually("offline", () => events.some((event) => event.type === "offline" && isOf2(event)))
      // The last word on an edge is what is the case.
      assert.strictEqual(events.filter(isOf2).at(-1)?.type, "offline")
    })
  )

  it.live("counts bytes and streams, also of tunnels that have closed", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy()
      const agent = yield* online(proxy)
      const { ours, theirs } = yield* openWith(proxy, agent, connected)
      ours.write(Buffer.alloc(100_000))
      theirs.resume()
      theirs.write(Buffer.alloc(50_000))
      yield* Effect.promise(() => readExactly(ours, 50_000))
      yield* eventuallyEffect(
        "bytes",
        Effect.map(
          proxy.tunnels.totals,
          ({ bytesIn, bytesOut, streams }) => bytesIn > 50_000 && bytesOut > 100_000 && streams === 1
        )
      )
      const before = yield* proxy.tunnels.totals
      agent.webSocket.terminate()
      yield* eventuallyEffect(
        "no session",
        Effect.map(proxy.tunnels.totals, ({ sessions }) => sessions === 0)
      )
      const after = yield* proxy.tunnels.totals
      assert.deepStrictEqual([after.bytesIn, after.bytesOut], [before.bytesIn, before.bytesOut])
    })
  )
})

describe("draining", () => {
  it.live(
    "sends agents elsewhere, lets streams finish, opens new ones meanwhile, then closes with 1001",
    () =>
      Effect.gen(function* () {
        const proxy = yield* startProxy({ graceMillis: 10_000 })
        const agent = yield* online(proxy)
        const first = yield* connectRaw(proxy.url, { token: "ert_2", protocols: ["edge-relay.v1"] })
        yield* eventuallyEffect("registration", proxy.store.exists(tokenOf(2).tokenId))
        const { ours, theirs } = yield* openWith(proxy, agent, connected)

        const draining = yield* Effect.forkChild(proxy.tunnels.drain, { startImmediately: true })
        yield* eventually("a drain", () => agent.messages.some(({ type }) => type === "drain"))
        yield* eventually("a GoAway", () => first.goAways.length > 0)
        const drain = agent.messages.find(({ type }) => type === "drain")
        assert.strictEqual(drain?.["graceSeconds"], 10)
        assert.isBelow(Number(drain?.["reconnectAfterMillis"]), 5_000)
        assert.isTrue(yield* proxy.tunnels.isDraining)
        assert.isEmpty(yield* proxy.store.list)
        assert.strictEqual((yield* Effect.flip(connectRaw(proxy.url, { token: "ert_3" }))).status, 503)

        theirs.write("still here")
        assert.strictEqual(String(yield* Effect.promise(() => readExactly(ours, 10))), "still here")
        // The agent is not elsewhere yet: where else should its requests go?
        yield* openWith(proxy, agent, connected)

        yield* Effect.promise(() => Promise.all([agent.session.close(), first.session.close()]))
        yield* Fiber.join(draining)
      })
  )

  it.live("ends with the grace period, whatever goes on", () =>
    Effect.gen(function* () {
      const proxy = yield* startProxy({ graceMillis: 100 })
      const agent = yield* online(proxy)
      const mute = yield* connectRaw(proxy.url, { token: "ert_2", hello: "" })
      yield* openWith(proxy, agent, connected)
      yield* proxy.tunnels.drain
      assert.deepStrictEqual(yield* Effect.promise(() => agent.closed), { code: 1001, reason: "draining" })
      assert.strictEqual((yield* Effect.promise(() => mute.closed)).code, 1001)
    })
  )

  it.live("is over at once where there is nothing to drain", () =>
    Effect.gen(function* () {
      const { tunnels } = yield* startProxy()
      yield* tunnels.drain
      yield* tunnels.drain
    })
  )

  it.live("closes what is open when the server's scope ends", () =>
    Effect.gen(function* () {
      const agent = yield* Effect.scoped(
        Effect.gen(function* () {
          const proxy = yield* startProxy()
          const agent = yield* connectRaw(proxy.url)
          yield* eventuallyEffect("registration", proxy.store.exists(tokenId))
          return agent
        })
      )
      assert.include([1001, 1006], (yield* Effect.promise(() => agent.closed)).code)
    })
  )
})
