import { request } from "node:http"
import type { Duplex } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { eventually } from "@edge-relay/testkit/Eventually"
import { startRelay } from "@edge-relay/testkit/TcpRelay"
import { closed, readAll, readExactly } from "@edge-relay/testkit/Streams"
import { tokenOf } from "@edge-relay/testkit/TestTokens"
import { ProxyLink } from "@edge-relay/tunnel/link/ProxyLink"
import { reset } from "@edge-relay/tunnel/Splice"
import { DuplexTransport } from "@edge-relay/yamux/DuplexTransport"
import { Session } from "@edge-relay/yamux/Session"
import { connected, dial, fill, online } from "@edge-relay/testkit/proxy/OnlineAgent"
import { askJson, dialerTo, internalKey, startServer } from "@edge-relay/testkit/proxy/TestProxyServer"

const { edgeId } = tokenOf(1)

/** The socket behind a 101 and its headers, or the status in its place. */
const upgrade = (internalPort: number, path: string, protocol: string, key = internalKey) =>
  Effect.callback<{ readonly socket?: Duplex; readonly status: number; readonly protocol?: string }>(
    (resume) => {
      const asked = request({
        host: "127.0.0.1",
        port: internalPort,
        path,
        headers: { Authorization: `Bearer ${key}`, Connection: "Upgrade", Upgrade: protocol }
      })
      asked.on("response", (response) => {
        response.resume()
        resume(Effect.succeed({ status: response.statusCode ?? 0 }))
      })
      asked.on("upgrade", ({ headers }, socket) =>
        resume(
          Effect.succeed({ socket, status: 101, protocol: String(headers["edge-relay-protocol"] ?? "") })
        )
      )
      asked.end()
      return Effect.sync(() => asked.destroy())
    }
  )

const link = Effect.fnUntraced(function* (internalPort: number) {
  const { socket } = yield* upgrade(internalPort, "/internal/streams", "edge-relay-link")
  if (socket === undefined) return yield* Effect.die("no link")
  return yield* Effect.acquireRelease(
    Effect.sync(() => new Session("client", new DuplexTransport(socket))),
    (session) => Effect.sync(() => session.destroy())
  )
})

describe("a link", () => {
  it.live("carries many streams over one connection", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const relay = yield* startRelay(() => server.internalPort)
      const dialer = yield* dialerTo(`http://127.0.0.1:${relay.port}`)
      const dialled = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => dial({ ...server, dialer }, agent, connected),
        { concurrency: 1 }
      )
      for (const [index, { ours }] of dialled.entries())
        ours.write(`stream ${String(index).padStart(2, "0")}`)
      for (const [index, { theirs }] of dialled.entries()) {
        const said = yield* Effect.promise(() => readExactly(theirs, 9))
        assert.strictEqual(String(said), `stream ${String(index).padStart(2, "0")}`)
      }
      assert.strictEqual(relay.connections, 1)
    })
  )

  it.live("is made once by those who dial at once", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const relay = yield* startRelay(() => server.internalPort)
      const dialer = yield* dialerTo(`http://127.0.0.1:${relay.port}`)
      const refused = yield* Effect.all(
        Array.from({ length: 30 }, () => Effect.flip(dialer.open(edgeId, "http"))),
        { concurrency: "unbounded" }
      )
      assert.isTrue(refused.every(({ reason }) => reason._tag === "EdgeOffline"))
      assert.strictEqual(relay.connections, 1)
    })
  )

  it.live("goes on for others where one reader has stopped, either way", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const [down, up, other] = [
        yield* dial(server, agent, connected),
        yield* dial(server, agent, connected),
        yield* dial(server, agent, connected)
      ]
      yield* fill(down.theirs)
      yield* fill(up.ours)
      other.ours.write("ping")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(other.theirs, 4))), "ping")
      other.theirs.write("pong")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(other.ours, 4))), "pong")
    })
  )

  it.live("breaks every stream when it breaks, and is made anew for the next", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const relay = yield* startRelay(() => server.internalPort)
      const dialer = yield* dialerTo(`http://127.0.0.1:${relay.port}`)
      const first = yield* dial({ ...server, dialer }, agent, connected)
      const second = yield* dial({ ...server, dialer }, agent, connected)
      const ends = [first, second].flatMap(({ ours, theirs }) => [closed(ours), closed(theirs)])
      relay.cut()
      for (const end of ends) assert.isDefined((yield* Effect.promise(() => end)).error)
      const third = yield* dial({ ...server, dialer }, agent, connected)
      third.ours.write("again")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(third.theirs, 5))), "again")
      assert.strictEqual(relay.connections, 2)
    })
  )

  it.live("is followed by another when it has no more stream ids, and its streams go on", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const relay = yield* startRelay(() => server.internalPort)
      const proxyLink = yield* Effect.acquireRelease(
        Effect.sync(
          () =>
            new ProxyLink({
              proxyUrl: `http://127.0.0.1:${relay.port}`,
              internalKey: Redacted.make(internalKey),
              timeoutMillis: 5_000,
              firstStreamId: 0xff_ff_ff_ff
            })
        ),
        (proxyLink) => Effect.sync(() => proxyLink.close())
      )
      const dialer = { open: (id: typeof edgeId, service: string) => proxyLink.open({ edgeId: id, service }) }
      const first = yield* dial({ ...server, dialer }, agent, connected)
      const second = yield* dial({ ...server, dialer }, agent, connected)
      for (const { ours, theirs } of [first, second]) {
        ours.write("ping")
        assert.strictEqual(String(yield* Effect.promise(() => readExactly(theirs, 4))), "ping")
      }
      assert.strictEqual(relay.connections, 2)
    })
  )

  it.live("is over when the proxy falls silent, and tells its streams", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const relay = yield* startRelay(() => server.internalPort)
      const proxyLink = yield* Effect.acquireRelease(
        Effect.sync(
          () =>
            new ProxyLink({
              proxyUrl: `http://127.0.0.1:${relay.port}`,
              internalKey: Redacted.make(internalKey),
              timeoutMillis: 5_000,
              keepAliveMillis: 300
            })
        ),
        (proxyLink) => Effect.sync(() => proxyLink.close())
      )
      const dialer = { open: (id: typeof edgeId, service: string) => proxyLink.open({ edgeId: id, service }) }
      const { ours } = yield* dial({ ...server, dialer }, agent, connected)
      // Asked, it answers: nothing breaks while it is merely idle.
      yield* Effect.sleep("1 second")
      assert.isFalse(ours.destroyed)
      const gone = closed(ours)
      relay.isSilent = true
      assert.isDefined((yield* Effect.promise(() => gone)).error)
      relay.isSilent = false
      const next = yield* dial({ ...server, dialer }, agent, connected)
      next.ours.write("again")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(next.theirs, 5))), "again")
    })
  )

  it.live("says that the proxy is unavailable to whoever waits for an answer when it breaks", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const relay = yield* startRelay(() => server.internalPort)
      const dialer = yield* dialerTo(`http://127.0.0.1:${relay.port}`)
      const failure = yield* Effect.flip(
        dial({ ...server, dialer }, agent, () => {
          relay.cut()
          relay.close()
        })
      )
      assert.strictEqual(failure.reason._tag, "ProxyUnavailable")
    })
  )

  it.live("wants the key, and an upgrade", () =>
    Effect.gen(function* () {
      const { internalPort, internalUrl } = yield* startServer()
      const path = "/internal/streams"
      assert.strictEqual((yield* upgrade(internalPort, path, "edge-relay-link", "wrong")).status, 401)
      assert.strictEqual((yield* upgrade(internalPort, path, "websocket")).status, 426)
      assert.strictEqual((yield* askJson(`${internalUrl}${path}`)).body.code, "upgrade_required")
    })
  )

  it.live("resets a stream whose dial is none of ours, and goes on", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const session = yield* link(server.internalPort)
      for (const nonsense of [
        Buffer.from([0, 2, 0x7b, 0x7d]),
        Buffer.from([0, 0]),
        Buffer.from([0xff, 0xff]),
        Buffer.from(`\0\x20${JSON.stringify({ edgeId: "edge_x", service: "a" }).padEnd(32)}`)
      ]) {
        const stream = session.open()
        const gone = closed(stream)
        stream.write(nonsense)
        stream.resume()
        assert.isDefined((yield* Effect.promise(() => gone)).error)
      }
      const unfinished = session.open()
      unfinished.end(Buffer.from([0, 9, 0x7b]))
      unfinished.resume()
      assert.isDefined((yield* Effect.promise(() => closed(unfinished))).error)
      assert.isFalse(session.closed)
      assert.strictEqual(agent.streams.length, 0)
    })
  )

  it.live("that speaks no yamux ends alone", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const { ours, theirs } = yield* dial(server, agent, connected)
      const { socket } = yield* upgrade(server.internalPort, "/internal/streams", "edge-relay-link")
      socket?.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      socket?.resume()
      yield* eventually("an end", () => socket?.destroyed === true)
      ours.write("on")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(theirs, 2))), "on")
    })
  )
})

describe("one stream over a connection of its own", () => {
  const path = `/internal/edges/${edgeId}/stream?service=http`

  it.live("is the edge's own bytes behind the 101, with half-close", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server, { protocols: ["edge-relay.v1"] })
      const { socket, protocol } = yield* upgrade(server.internalPort, path, "edge-relay-stream")
      if (socket === undefined) return yield* Effect.die("no stream")
      assert.strictEqual(protocol, "v1")
      yield* eventually("a stream", () => agent.streams.length === 1)
      const [theirs] = agent.streams
      if (theirs === undefined) return yield* Effect.die("no stream")
      socket.end("to the edge")
      assert.strictEqual(String(yield* Effect.promise(() => readAll(theirs))), "to the edge")
      theirs.end("and back")
      assert.strictEqual(String(yield* Effect.promise(() => readAll(socket))), "and back")
    })
  )

  it.live("is turned down where there is no tunnel", () =>
    Effect.gen(function* () {
      const { internalPort } = yield* startServer()
      assert.strictEqual((yield* upgrade(internalPort, path, "edge-relay-stream")).status, 503)
    })
  )

  it.live("resets the edge's side when it breaks off", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server, { protocols: ["edge-relay.v1"] })
      const { socket } = yield* upgrade(server.internalPort, path, "edge-relay-stream")
      yield* eventually("a stream", () => agent.streams.length === 1)
      agent.streams[0]?.resume()
      if (socket !== undefined) reset(socket)
      yield* eventually("a reset", () => agent.streams[0]?.destroyed === true)
    })
  )
})
