import { within } from "@edge-relay/testkit/Within"
import { eventually, rawOrigin, sendRaw, TestGateway } from "@edge-relay/testkit/gateway/TestGateway"
import { pathOf } from "@edge-relay/protocol/ServiceStream"
import * as ServiceStreamClient from "@edge-relay/tunnel/client/ServiceStreamClient"
import { reset } from "@edge-relay/tunnel/Splice"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Redacted } from "effect"
import { createHash, randomBytes } from "node:crypto"
import type * as net from "node:net"
import type { Duplex } from "node:stream"
import { WebSocket } from "ws"

/** An edge whose local server does that with each connection, and a token for streams. */
const setup = Effect.fnUntraced(function* (onSocket: (socket: net.Socket) => void) {
  const gateway = yield* TestGateway
  const edgeId = yield* gateway.addEdge(yield* rawOrigin(onSocket))
  const token = yield* gateway.addToken({ scopes: ["forward"] })
  const open = (transport: "stream" | "websocket", text = token.text, to: string = edgeId) =>
    ServiceStreamClient.open({
      url: new URL(`http://127.0.0.1:${gateway.port}`),
      token: Redacted.make(text),
      edgeId: to,
      service: "ssh",
      transport
    })
  return { gateway, edgeId, token, open, path: pathOf(edgeId, "ssh") }
})

const echo = (socket: net.Socket) => void socket.pipe(socket)

/** All that comes until the other end has no more. */
const readAll = (stream: Duplex) =>
  Effect.tryPromise(async () => {
    const parts: Array<Buffer> = []
    for await (const part of stream.iterator({ destroyOnReturn: false })) parts.push(part)
    return Buffer.concat(parts)
  })

const closed = (stream: Duplex) =>
  Effect.callback<void>((resume) => {
    stream.on("error", () => undefined)
    stream.resume()
    if (stream.destroyed) resume(Effect.void)
    else stream.once("close", () => resume(Effect.void))
  })

describe.each(["stream", "websocket"] as const)("A stream to a service, by %s,", (transport) => {
  it.live("carries bytes as they are, either way, with back-pressure", () =>
    Effect.gen(function* () {
      const { edgeId, gateway, open } = yield* setup(echo)
      const sent = randomBytes(24 * 1024 * 1024)
      const stream = yield* open(transport)
      stream.end(sent)
      const received = yield* readAll(stream)
      const digest = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex")
      assert.strictEqual(digest(received), digest(sent))
      yield* eventually("the record", () => gateway.traffic.recent(edgeId).length === 1)
      const [record] = gateway.traffic.recent(edgeId)
      assert.strictEqual(record?.cause, null)
      assert.isAtLeast(record?.bytesIn ?? 0, sent.length)
      assert.isAtLeast(record?.bytesOut ?? 0, sent.length)
      yield* eventually("no stream", () => gateway.edge(edgeId).streams.size === 0)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("keeps the half-close of the client: the edge answers after its end", () =>
    Effect.gen(function* () {
      const { open } = yield* setup((socket) => {
        let length = 0
        socket.on("data", (part) => (length += part.length))
        socket.once("end", () => setTimeout(() => socket.end(`got ${length}`), 50))
      })
      const stream = yield* open(transport)
      stream.end("hello")
      assert.strictEqual(String(yield* readAll(stream)), "got 5")
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("keeps the half-close of the edge: it reads on after its end", () =>
    Effect.gen(function* () {
      let received = ""
      const { open } = yield* setup((socket) => {
        socket.end("banner")
        socket.on("data", (part) => (received += String(part)))
      })
      const stream = yield* open(transport)
      assert.strictEqual(String(yield* readAll(stream)), "banner")
      stream.write("still ")
      yield* Effect.sleep("50 millis")
      stream.end("there")
      yield* eventually("the rest", () => received === "still there")
      yield* closed(stream)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("breaks off where the edge does, and the other way round", () =>
    Effect.gen(function* () {
      const sockets: Array<net.Socket> = []
      const { edgeId, gateway, open } = yield* setup((socket) => {
        sockets.push(socket)
        socket.write("x")
        socket.resume()
      })
      const broken = yield* open(transport)
      sockets[0]?.resetAndDestroy()
      assert.strictEqual((yield* Effect.flip(readAll(broken)))._tag, "UnknownError")
      yield* eventually("the record", () => gateway.traffic.recent(edgeId).length === 1)
      assert.strictEqual(gateway.traffic.recent(edgeId)[0]?.cause, "edge_reset")

      const given = yield* open(transport)
      given.on("error", () => undefined)
      reset(given)
      yield* eventually("the edge's end", () => sockets[1]?.destroyed === true)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("ends within a second when its token is revoked", () =>
    Effect.gen(function* () {
      const { edgeId, gateway, open, token } = yield* setup(echo)
      const stream = yield* open(transport)
      yield* token.revoke
      yield* within(1, "the cut", closed(stream))
      yield* eventually("the edge's end", () => gateway.edge(edgeId).streams.size === 0)
      yield* eventually("the record", () => gateway.traffic.recent(edgeId)[0]?.cause === "unauthorized")
      yield* Effect.sleep("600 millis")
      assert.strictEqual((yield* Effect.flip(open(transport)))._tag, "StreamRefused")
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("ends when its token expires", () =>
    Effect.gen(function* () {
      const { gateway, open } = yield* setup(echo)
      const expiresAt = DateTime.add(yield* DateTime.now, { seconds: 2 })
      const { text } = yield* gateway.addToken({ scopes: ["forward"], expiresAt })
      yield* within(4, "the cut", Effect.flatMap(open(transport, text), closed))
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("says why there is none", () =>
    Effect.gen(function* () {
      const { edgeId, gateway, open } = yield* setup(echo)
      const why = (text?: string, to?: string) =>
        Effect.map(Effect.flip(open(transport, text, to)), (error) =>
          error._tag === "StreamRefused" ? `${error.status} ${error.code}` : error.message
        )
      const { text } = yield* gateway.addToken({ scopes: ["gateway"] })
      assert.strictEqual(yield* why(text), "403 insufficient_scope")
      assert.strictEqual(yield* why("erp_x"), "401 unauthorized")
      assert.strictEqual(yield* why(undefined, "edge_01h00000000000000000000000"), "404 edge_not_found")
      const elsewhere = yield* gateway.addToken({ scopes: ["forward"], reach: { ids: [], labels: ["ci"] } })
      assert.strictEqual(yield* why(elsewhere.text), "404 edge_not_found")
      gateway.edge(edgeId).port = 1
      assert.strictEqual(yield* why(), "502 edge_refused")
      gateway.edge(edgeId).busy = true
      assert.strictEqual(yield* why(), "429 edge_busy")
      gateway.edge(edgeId).offline = true
      assert.strictEqual(yield* why(), "503 edge_offline")
    }).pipe(Effect.provide(TestGateway.layer()))
  )
})

describe("A stream to a service", () => {
  it.live("is for a browser's session, too, and ends with it, and for no other site's page", () =>
    Effect.gen(function* () {
      const { gateway, path } = yield* setup(echo)
      const connect = (origin: string) =>
        Effect.callback<WebSocket | number>((resume) => {
          const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}`, {
            headers: { cookie: gateway.cookie, origin }
          })
          socket.on("error", () => undefined)
          socket.once("open", () => resume(Effect.succeed(socket)))
          socket.once("unexpected-response", (request, response) => {
            resume(Effect.succeed(response.statusCode ?? 0))
            request.destroy()
          })
        })
      assert.strictEqual(yield* connect("https://evil.test"), 403)
      const socket = yield* connect("http://relay.test:3721")
      if (typeof socket === "number") return assert.fail(`status ${socket}`)
      const ended = Effect.callback<number>((resume) => {
        socket.once("close", (code) => resume(Effect.succeed(code)))
      })
      yield* gateway.endSession
      assert.strictEqual(yield* within(1, "the cut", ended), 1008)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("has what is sent behind the request, before it was agreed to", () =>
    Effect.gen(function* () {
      const { gateway, path, token } = yield* setup(echo)
      const received = yield* sendRaw(
        gateway.port,
        `GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token.text}\r\nConnection: Upgrade\r\nUpgrade: edge-relay-stream\r\n\r\nearly`,
        (all) => all.endsWith("early")
      )
      assert.match(received, /^HTTP\/1\.1 101 [^]*\r\nUpgrade: edge-relay-stream\r\n[^]*\r\n\r\nearly$/)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("needs an upgrade that is one of its own, and says which", () =>
    Effect.gen(function* () {
      const { gateway, path, token } = yield* setup(echo)
      const head = `GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token.text}\r\n`
      for (const upgrade of ["", "Connection: Upgrade\r\nUpgrade: chat\r\n"]) {
        const received = yield* sendRaw(gateway.port, `${head}${upgrade}\r\n`, (all) => all.includes("}"))
        assert.match(received, /^HTTP\/1\.1 426 /)
        assert.match(received, /\r\nUpgrade: edge-relay-stream, websocket\r\n/)
      }
      const handshake = yield* sendRaw(
        gateway.port,
        `${head}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\n\r\n`
      )
      assert.match(handshake, /^HTTP\/1\.1 4\d\d /)
      const noService = `${head.replace("/ssh/", "/SSH%20/")}Connection: Upgrade\r\nUpgrade: edge-relay-stream\r\n\r\n`
      const answer = yield* sendRaw(gateway.port, noService, (all) => all.includes("}"))
      assert.match(answer, /^HTTP\/1\.1 404 /)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("without the subprotocol ends both directions with one", () =>
    Effect.gen(function* () {
      const { gateway, path, token } = yield* setup((socket) => socket.end("bye"))
      const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}`, {
        headers: { authorization: `Bearer ${token.text}` }
      })
      let received = ""
      socket.on("message", (data) => (received += String(data)))
      const code = yield* Effect.callback<number>((resume) => {
        socket.once("close", (code) => resume(Effect.succeed(code)))
      })
      assert.deepStrictEqual([received, code], ["bye", 1000])
    }).pipe(Effect.provide(TestGateway.layer()))
  )
})
