import { connect } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"
import { Program } from "@edge-relay/testkit/Program"
import { eventually, eventuallyEffect } from "@edge-relay/testkit/Eventually"
import { within } from "@edge-relay/testkit/Within"
import { connectRaw } from "@edge-relay/testkit/tunnel/RawAgent"
import { startRelay } from "@edge-relay/testkit/TcpRelay"
import { closed } from "@edge-relay/testkit/Streams"
import { bytesAt, fetchThrough, sha256, startOrigin } from "@edge-relay/testkit/proxy/ProxyOrigin"
import { startProxy } from "@edge-relay/testkit/proxy/ProxyProcess"
import { startDatabase, tenantId } from "@edge-relay/testkit/proxy/TestDatabase"
import { ask, askJson } from "@edge-relay/testkit/proxy/TestProxyServer"

/** Quick enough for a test. */
const impatient = { HEARTBEAT_SECONDS: "0.1", SILENCE_SECONDS: "1", HANDSHAKE_SECONDS: "1" }

const startAgent = (url: string, token: string, port: number, silenceMillis = 1000) =>
  Effect.forkScoped(
    TunnelClient.run({
      url,
      token: Redacted.make(token),
      services: new Map([["http", { host: "127.0.0.1", port }]]),
      reconnect: { firstMillis: 50, maxMillis: 200, healthyMillis: 60_000, displacedMillis: 500 },
      silenceMillis,
      handshakeMillis: silenceMillis * 2
    })
  )

type Proxy = Effect.Success<ReturnType<typeof startProxy>>
type Edge = Effect.Success<ReturnType<Effect.Success<typeof startDatabase>["newEdge"]>>

const isOnline = ({ internalUrl }: Proxy, { edgeId }: Edge) =>
  Effect.map(ask(`${internalUrl}/internal/sessions/${edgeId}`), ({ status }) => status === 200)

const hello = (proxy: Proxy, { edgeId }: Edge) =>
  Effect.map(fetchThrough(proxy.dialer, edgeId, "/"), ({ body }) => String(body) === "hello")

/** Works, after whatever time it takes to. */
const works = (proxy: Proxy, edge: Edge) =>
  eventuallyEffect(
    "a request that works",
    Effect.catch(hello(proxy, edge), () => Effect.as(Effect.sleep(20), false))
  )

describe("kill -9", () => {
  it.live(
    "of the proxy breaks what is in flight, and nothing after it",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const edge = yield* database.newEdge("box")
        const origin = yield* startOrigin
        const first = yield* startProxy(database)
        yield* startAgent(first.tunnelUrl, edge.token, origin.port)
        yield* works(first, edge)
        const download = yield* Effect.forkChild(
          fetchThrough(first.dialer, edge.edgeId, "/bytes/500000000"),
          { startImmediately: true }
        )
        yield* eventuallyEffect(
          "a download in flight",
          Effect.map(
            askJson(`${first.internalUrl}/internal/sessions/${edge.edgeId}`),
            ({ body }) => body.bytesIn > 1_000_000
          )
        )
        yield* Effect.promise(() => first.program.stop("SIGKILL"))
        assert.strictEqual((yield* Effect.exit(Fiber.join(download)))._tag, "Failure")
        const second = yield* startProxy(database, { TUNNEL_PORT: String(first.tunnelPort) })
        yield* works(second, edge)
      }),
    60_000
  )

  it.live(
    "of the agent takes the edge offline at once, and it comes back as a new process",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const edge = yield* database.newEdge("box")
        const origin = yield* startOrigin
        const proxy = yield* startProxy(database)
        const start = Effect.acquireRelease(
          Effect.sync(
            () =>
              new Program(
                "packages/testkit/src/proxy/agent.ts",
                [proxy.tunnelUrl, edge.token, String(origin.port)],
                {},
                database.folder
              )
          ),
          (program) => Effect.promise(() => program.stop("SIGKILL"))
        )
        const agent = yield* start
        yield* works(proxy, edge)
        yield* Effect.promise(() => agent.stop("SIGKILL"))
        yield* eventuallyEffect(
          "offline",
          Effect.map(isOnline(proxy, edge), (online) => !online)
        )
        const { reason } = yield* Effect.flip(proxy.dialer.open(edge.edgeId, "http"))
        assert.strictEqual(reason._tag, "EdgeOffline")
        yield* start
        yield* works(proxy, edge)
      }),
    60_000
  )
})

describe("a network", () => {
  it.live(
    "that goes silent is noticed by both ends, and healed from",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const edge = yield* database.newEdge("box")
        const origin = yield* startOrigin
        const proxy = yield* startProxy(database, impatient)
        const relay = yield* startRelay(() => proxy.tunnelPort)
        yield* startAgent(`ws://127.0.0.1:${relay.port}`, edge.token, origin.port)
        yield* works(proxy, edge)
        relay.isSilent = true
        yield* eventuallyEffect(
          "offline",
          Effect.map(isOnline(proxy, edge), (online) => !online)
        )
        const before = relay.connections
        yield* eventually("the agent to dial anew", () => relay.connections > before)
        relay.isSilent = false
        yield* works(proxy, edge)
      }),
    60_000
  )

  it.live(
    "that is slow, or gives one byte at a time, changes nothing",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const edge = yield* database.newEdge("box")
        const origin = yield* startOrigin
        // What is slow here is the network, and on a busy machine the rest: nobody is to take it for gone.
        const patient = { HANDSHAKE_SECONDS: "60", HEARTBEAT_SECONDS: "20", SILENCE_SECONDS: "120" }
        const proxy = yield* startProxy(database, patient)
        const relay = yield* startRelay(() => proxy.tunnelPort)
        relay.forward = (chunk, to) => {
          for (const byte of chunk) to.write(Buffer.from([byte]))
        }
        yield* startAgent(`ws://127.0.0.1:${relay.port}`, edge.token, origin.port, 120_000)
        yield* works(proxy, edge)
        const size = 50_000
        const trickled = yield* fetchThrough(proxy.dialer, edge.edgeId, `/bytes/${size}`)
        assert.strictEqual(sha256(trickled.body), sha256(bytesAt(0, size)))
        // In order, each 60 ms late.
        relay.forward = (chunk, to) => void setTimeout(() => to.write(chunk), 60)
        const late = yield* fetchThrough(proxy.dialer, edge.edgeId, `/bytes/${size}`)
        assert.strictEqual(sha256(late.body), sha256(bytesAt(0, size)))
      }),
    180_000
  )

  it.live(
    "that cuts at any byte loses requests, never bytes of one that succeeds",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const edge = yield* database.newEdge("box")
        const origin = yield* startOrigin
        const proxy = yield* startProxy(database)
        const relay = yield* startRelay(() => proxy.tunnelPort)
        // From a fixed seed: a few bytes, which is in the handshake, to a few hundred thousand.
        let seed = 20_261_124
        const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
        let isCutting = true
        let left = 0
        relay.forward = (chunk, to) => {
          if (isCutting && left <= 0) left = Math.ceil(10 ** (1 + 5 * random()))
          to.write(isCutting ? chunk.subarray(0, left) : chunk)
          left -= chunk.length
          if (isCutting && left <= 0) relay.cut()
        }
        yield* startAgent(`ws://127.0.0.1:${relay.port}`, edge.token, origin.port)
        const size = 200_000
        const expected = sha256(bytesAt(0, size))
        let [whole, broken] = [0, 0]
        while (whole + broken < 60) {
          const result = yield* Effect.result(fetchThrough(proxy.dialer, edge.edgeId, `/bytes/${size}`))
          if (result._tag === "Failure") {
            broken++
            yield* Effect.sleep(20)
          } else {
            whole++
            assert.strictEqual(sha256(result.success.body), expected)
          }
        }
        assert.isAbove(broken, 10)
        isCutting = false
        yield* works(proxy, edge)
      }),
    60_000
  )
})

describe("a client", () => {
  it.live(
    "that never finishes its handshake is let go",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const edge = yield* database.newEdge("box")
        const proxy = yield* startProxy(database, impatient)
        const silent = connect(proxy.tunnelPort, "127.0.0.1")
        const slow = connect(proxy.tunnelPort, "127.0.0.1")
        slow.write("GET /tunnel/connect HTTP/1.1\r\nHost: x\r\nX-")
        const trickle = setInterval(() => slow.write("x"), 50)
        // The upgrade is done, and the hello never comes.
        const mute = yield* connectRaw(proxy.tunnelUrl, { token: edge.token, hello: "" })
        const both = Effect.promise(() => Promise.all([closed(silent.resume()), closed(slow.resume())]))
        yield* within(10, "both to be closed", both)
        clearInterval(trickle)
        const { code } = yield* within(
          10,
          "the third to be closed",
          Effect.promise(() => mute.closed)
        )
        assert.strictEqual(code, 4009)
      }),
    60_000
  )

  it.live(
    "that breaks the protocol is closed with 4009, alone",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const good = yield* database.newEdge("good")
        const bad = yield* database.newEdge("bad")
        const origin = yield* startOrigin
        const proxy = yield* startProxy(database)
        yield* startAgent(proxy.tunnelUrl, good.token, origin.port)
        yield* works(proxy, good)
        const frame = (version: number, type: number, flags: number, id: number, length: number) => {
          const header = Buffer.alloc(12)
          header.writeUInt8(version, 0)
          header.writeUInt8(type, 1)
          header.writeUInt16BE(flags, 2)
          header.writeUInt32BE(id, 4)
          header.writeUInt32BE(length, 8)
          return header
        }
        const violations: ReadonlyArray<string | Buffer> = [
          "a text message",
          frame(7, 0, 0, 1, 0),
          // One byte more than the control stream's window takes.
          Buffer.concat([frame(0, 0, 0, 1, 262_145), Buffer.alloc(262_145)]),
          frame(0, 0, 0, 1, 0xffff_ffff)
        ]
        for (const violation of violations) {
          const agent = yield* connectRaw(proxy.tunnelUrl, { token: bad.token })
          yield* eventually("a welcome", () => agent.messages.length === 1)
          agent.webSocket.send(violation)
          const { code, reason } = yield* Effect.promise(() => agent.closed)
          assert.strictEqual(code, 4009)
          assert.match(reason, /^protocol error: /)
        }
        assert.isTrue(yield* hello(proxy, good))
      }),
    60_000
  )

  it.live(
    "that fights another one over a token is put off, and the fight is on record",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const edge = yield* database.newEdge("box")
        const proxy = yield* startProxy(database)
        let refused = 0
        // Two machines that know nothing of manners: each dials again at once.
        const machine = Effect.gen(function* () {
          const agent = yield* connectRaw(proxy.tunnelUrl, { token: edge.token })
          yield* Effect.promise(() => agent.closed)
        }).pipe(
          Effect.scoped,
          Effect.catch(({ status, headers }) => {
            refused++
            assert.strictEqual(status, 429)
            assert.isAtLeast(Number(headers["retry-after"]), 5)
            return Effect.never
          }),
          Effect.forever
        )
        yield* Effect.forkScoped(machine)
        yield* Effect.forkScoped(machine)
        yield* eventually("one of them to be refused", () => refused === 1)
        // The other one has the edge to itself.
        yield* eventuallyEffect("online", isOnline(proxy, edge))
        yield* eventuallyEffect(
          "a record",
          Effect.map(database.audit.list(tenantId, { limit: 10 }), ({ items }) =>
            items.some((entry) => entry.action === "edge.token_contended" && entry.edgeId === edge.edgeId)
          )
        )
      }),
    60_000
  )

  it.live(
    "that guesses a thousand tokens is soon not listened to, and disturbs nobody",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const edge = yield* database.newEdge("box")
        const origin = yield* startOrigin
        const proxy = yield* startProxy(database)
        yield* startAgent(proxy.tunnelUrl, edge.token, origin.port)
        yield* works(proxy, edge)
        const guess = (index: number) =>
          Effect.map(
            Effect.flip(
              Effect.scoped(
                connectRaw(proxy.tunnelUrl, { token: `ert_guess-${index}`, localAddress: "127.0.0.2" })
              )
            ),
            ({ status }) => status
          )
        const guesses = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: 1_000 }, (_, index) => index),
            guess,
            { concurrency: 20 }
          ),
          { startImmediately: true }
        )
        for (let count = 0; count < 20; count++) assert.isTrue(yield* hello(proxy, edge))
        const statuses = yield* Fiber.join(guesses)
        const unauthorized = statuses.filter((status) => status === 401).length
        // Those that were being checked when the limit was reached are answered as well.
        assert.isAtLeast(unauthorized, 30)
        assert.isAtMost(unauthorized, 50)
        assert.isTrue(statuses.every((status) => status === 401 || status === 429))
        assert.isTrue(yield* isOnline(proxy, edge))
        assert.notInclude(proxy.program.output, "ert_")
      }),
    60_000
  )
})
