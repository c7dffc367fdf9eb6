import { connect } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { eventually, eventuallyEffect } from "@edge-relay/testkit/Eventually"
import { within } from "@edge-relay/testkit/Within"
import { connectRaw } from "@edge-relay/testkit/tunnel/RawAgent"
import { closed, readAll, readExactly } from "@edge-relay/testkit/Streams"
import { tokenOf } from "@edge-relay/testkit/TestTokens"
import { slowHead } from "@edge-relay/testkit/SlowHead"
import { connected, dial, fill, online } from "@edge-relay/testkit/proxy/OnlineAgent"
import { InternalApi } from "@edge-relay/protocol/InternalApi"
import * as Routes from "@edge-relay/server-kit/Routes"
import { ask, askJson, dialerTo, internalKey, startServer } from "@edge-relay/testkit/proxy/TestProxyServer"

const { edgeId, tenantId, tokenId } = tokenOf(1)

describe("the internal port", () => {
  it.live("ends a head that does not come", () =>
    Effect.gen(function* () {
      const { internalPort } = yield* startServer()
      assert.match(yield* slowHead(internalPort), /^HTTP\/1\.1 408 /)
    })
  )

  it.live("wants its key for every endpoint of its contract, and for what is not there", () =>
    Effect.gen(function* () {
      const { internalUrl } = yield* startServer()
      const endpoints = [
        ...Routes.ofApi(InternalApi),
        { method: "GET", path: "/internal/x" },
        { method: "GET", path: "/" }
      ]
      assert.isAbove(endpoints.length, 6)
      for (const { method, path } of endpoints) {
        for (const key of ["", "Bearer wrong", "Bearer ", `Basic ${internalKey}`, internalKey]) {
          const url = `${internalUrl}${path.replace(":edgeId", edgeId)}`
          const response = yield* ask(url, { method, headers: { Authorization: key } })
          assert.strictEqual(response.status, 401, `${method} ${path} ${key}`)
          assert.strictEqual(response.headers.get("www-authenticate"), "Bearer")
          assert.strictEqual((yield* Effect.promise(() => response.json())).code, "unauthorized")
        }
      }
      for (const path of ["/healthz", "/readyz", "/metrics"]) {
        const { status } = yield* ask(`${internalUrl}${path}`, { headers: { Authorization: "" } })
        assert.strictEqual(status, 200)
      }
      const stranger = yield* dialerTo(internalUrl, "another-key-that-is-long-enough-for-it")
      assert.strictEqual((yield* Effect.flip(stranger.open(edgeId, "http"))).reason._tag, "ProxyUnavailable")
    })
  )

  it.live("says what it does not have, and what it does not do", () =>
    Effect.gen(function* () {
      const { internalUrl } = yield* startServer()
      assert.strictEqual((yield* askJson(`${internalUrl}/internal/x`)).body.code, "not_found")
      const nonsense = yield* askJson(`${internalUrl}/internal/sessions/edge_x`)
      assert.deepStrictEqual([nonsense.status, nonsense.body.code], [400, "invalid_request"])
      const posted = yield* ask(`${internalUrl}/internal/sessions`, { method: "POST" })
      assert.deepStrictEqual([posted.status, posted.headers.get("allow")], [405, "GET, HEAD"])
      const plain = yield* askJson(`${internalUrl}/internal/edges/${edgeId}/stream`)
      assert.deepStrictEqual([plain.status, plain.body.code], [426, "upgrade_required"])
    })
  )

  it.live("lists the sessions, shows one, and closes one", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const { internalUrl } = server
      assert.deepStrictEqual((yield* askJson(`${internalUrl}/internal/sessions`)).body, [])
      const missing = yield* askJson(`${internalUrl}/internal/sessions/${edgeId}`)
      assert.deepStrictEqual([missing.status, missing.body.code], [404, "edge_session_not_found"])
      const agent = yield* online(server)
      const { body: session } = yield* askJson(`${internalUrl}/internal/sessions/${edgeId}`)
      assert.deepInclude(session, { edgeId, tenantId, tokenId, protocol: "v2", hostname: "box", streams: 0 })
      assert.match(session.connectedAt, /^\d{4}-.*\.\d{3}Z$/)
      assert.deepStrictEqual((yield* askJson(`${internalUrl}/internal/sessions`)).body.length, 1)

      const url = `${internalUrl}/internal/sessions/${edgeId}`
      assert.strictEqual((yield* ask(`${url}?reason=nonsense`, { method: "DELETE" })).status, 400)
      assert.strictEqual((yield* ask(url, { method: "DELETE" })).status, 204)
      assert.deepStrictEqual(yield* Effect.promise(() => agent.closed), {
        code: 1001,
        reason: "disconnected"
      })
      assert.strictEqual((yield* ask(url, { method: "DELETE" })).status, 404)
      const second = yield* online(server)
      assert.strictEqual((yield* ask(`${url}?reason=revoked`, { method: "DELETE" })).status, 204)
      assert.strictEqual((yield* Effect.promise(() => second.closed)).code, 4003)
    })
  )

  it.live("streams a snapshot, and then what changes", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      yield* online(server)
      const events: Array<{ readonly [key: string]: unknown }> = []
      const signal = yield* Effect.abortSignal
      const response = yield* ask(`${server.internalUrl}/internal/events`, { signal })
      assert.strictEqual(response.headers.get("content-type"), "text/event-stream")
      yield* Effect.forkScoped(
        Effect.promise(async () => {
          let text = ""
          for await (const chunk of response.body ?? []) {
            text += Buffer.from(chunk).toString()
            const parts = text.split("\n\n")
            text = parts.pop() ?? ""
            events.push(
              ...parts.filter((part) => part.startsWith("data: ")).map((part) => JSON.parse(part.slice(6)))
            )
          }
        }).pipe(Effect.ignoreCause)
      )
      yield* eventually("a snapshot", () => events.length === 1)
      assert.strictEqual(events[0]?.["type"], "snapshot")
      const other = yield* connectRaw(server.tunnelUrl, { token: "ert_2" })
      yield* eventually("online", () => events.some(({ type }) => type === "online"))
      other.webSocket.terminate()
      yield* eventually("offline", () => events.some(({ type }) => type === "offline"))
      const offline = events.find(({ type }) => type === "offline")
      assert.deepStrictEqual(offline, { type: "offline", edgeId: tokenOf(2).edgeId, tenantId })
    })
  )

  it.live("is ready while its database is, and not while it drains", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* startServer({ drainMillis: 1_000 }).pipe(Scope.provide(scope))
      const ready = () => askJson(`${server.internalUrl}/readyz`)
      assert.deepStrictEqual(yield* ready(), {
        status: 200,
        body: { status: "ready", missing: [], degraded: [] }
      })
      server.database.isAway = true
      const { status, body } = yield* ready()
      assert.strictEqual(status, 503)
      assert.deepStrictEqual(body.missing, [{ name: "database", reason: "does not answer" }])
      server.database.isAway = false
      assert.strictEqual((yield* ready()).status, 200)
      yield* online(server)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* eventuallyEffect(
        "not ready",
        Effect.map(ready(), ({ status }) => status === 503)
      )
      yield* Fiber.join(closing)
    })
  )

  it.live("shows its metrics by the names that dashboards know", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const { ours } = yield* dial(server, agent, connected)
      ours.write("0123456789")
      const scrape = Effect.flatMap(ask(`${server.internalUrl}/metrics`), (response) =>
        Effect.promise(() => response.text())
      )
      yield* eventuallyEffect(
        "bytes",
        Effect.map(scrape, (text) => /tunnel_bytes_total\{direction="out"\} [1-9]/.test(text))
      )
      const text = yield* scrape
      assert.match(text, /^tunnel_sessions 1$/m)
      assert.match(text, /^tunnel_streams_active 1$/m)
      for (const name of [
        'tunnel_bytes_total{direction="in"}',
        "tunnel_displaced_total",
        "tunnel_round_trip_seconds_bucket",
        "event_loop_delay_seconds"
      ]) {
        assert.include(text, `\n${name}`)
      }
    })
  )
})

describe("a stream over the internal port", () => {
  it.live("is the edge's own bytes, both ways, from the first on", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const { ours, theirs, protocol } = yield* dial(server, agent, (stream) => {
        stream.write(Buffer.from("\0early"))
      })
      assert.strictEqual(protocol, "v2")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(ours, 5))), "early")
      ours.write("to the edge")
      assert.strictEqual(String(yield* Effect.promise(() => readExactly(theirs, 11))), "to the edge")
    })
  )

  it.live("tells of a first-generation edge, whose streams are one exchange each", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server, { protocols: ["edge-relay.v1"] })
      const { ours, theirs, protocol } = yield* dial(server, agent, () => undefined)
      assert.strictEqual(protocol, "v1")
      ours.write("GET / HTTP/1.1\r\n\r\n")
      assert.strictEqual(
        String(yield* Effect.promise(() => readExactly(theirs, 18))),
        "GET / HTTP/1.1\r\n\r\n"
      )
    })
  )

  it.live("keeps half-close in both directions", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const { ours, theirs } = yield* dial(server, agent, connected)
      ours.end("ours is all")
      assert.strictEqual(String(yield* Effect.promise(() => readAll(theirs))), "ours is all")
      theirs.end("theirs is, too")
      assert.strictEqual(String(yield* Effect.promise(() => readAll(ours))), "theirs is, too")
      yield* eventuallyEffect(
        "no stream left",
        Effect.map(
          askJson(`${server.internalUrl}/internal/sessions/${edgeId}`),
          ({ body }) => body.streams === 0
        )
      )
    })
  )

  it.live("resets the edge's side within 100 ms of being cancelled, also in mid-upload", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      // An edge that reads, and one that reads nothing: then the proxy does not read, either.
      for (const isReading of [true, false]) {
        // The machine may have other things to do: the quickest of three tells what is waited for by design.
        let quickest = Infinity
        for (let count = 0; count < 3; count++) {
          const { ours, theirs } = yield* dial(server, agent, connected)
          if (isReading) theirs.resume()
          else yield* fill(ours)
          const gone = closed(theirs)
          const cancelledAt = performance.now()
          ours.destroy()
          assert.strictEqual((yield* Effect.promise(() => gone)).error?.code, "ECONNRESET")
          quickest = Math.min(quickest, performance.now() - cancelledAt)
        }
        assert.isBelow(quickest, 100)
      }
    })
  )

  it.live("breaks where the edge breaks off, and does not end", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const { ours, theirs } = yield* dial(server, agent, connected)
      theirs.write("half an ans", () => theirs.destroy())
      assert.isTrue(yield* Effect.isFailure(Effect.tryPromise(() => readAll(ours))))
      const second = yield* dial(server, agent, connected)
      agent.webSocket.terminate()
      assert.isTrue(yield* Effect.isFailure(Effect.tryPromise(() => readAll(second.ours))))
    })
  )

  it.live.each([
    { byte: 1, tag: "EdgeRefused" },
    { byte: 3, tag: "EdgeRefused" },
    { byte: 4, tag: "EdgeBusy" },
    { byte: 9, tag: "EdgeReset" }
  ])("is turned down with $tag for status byte $byte", ({ byte, tag }) =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const { reason } = yield* Effect.flip(
        dial(server, agent, (stream) =>
          stream.end(Buffer.concat([Buffer.from([byte, 0, 2]), Buffer.from("no")]))
        )
      )
      assert.strictEqual(reason._tag, tag)
      if (reason._tag === "EdgeRefused") {
        assert.deepInclude(reason, {
          service: "http",
          detail: "no",
          refusal: byte === 1 ? "refused" : "noSuchService"
        })
      }
    })
  )

  it.live("is turned down where the edge is offline, or the proxy is away", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      assert.strictEqual((yield* Effect.flip(server.dialer.open(edgeId, "http"))).reason._tag, "EdgeOffline")
      const nobody = yield* dialerTo("http://127.0.0.1:1")
      assert.strictEqual((yield* Effect.flip(nobody.open(edgeId, "http"))).reason._tag, "ProxyUnavailable")
    })
  )

  it.live("is reset at the edge where whoever asked for it goes before the answer", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const agent = yield* online(server)
      const opening = yield* Effect.forkChild(server.dialer.open(edgeId, "http"), { startImmediately: true })
      yield* eventually("a stream", () => agent.streams.length === 1)
      yield* Fiber.interrupt(opening)
      const [theirs] = agent.streams
      theirs?.resume()
      yield* eventually("a reset", () => theirs?.destroyed === true)
    })
  )

  it.live("survives a client that sends nonsense", () =>
    Effect.gen(function* () {
      const { internalUrl, internalPort } = yield* startServer()
      for (const nonsense of [
        "GET /internal/edges/x/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: edge-relay-stream\r\n\r\n",
        "GET http:// HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\n",
        "\x16\x03\x01"
      ]) {
        const socket = connect(internalPort, "127.0.0.1")
        socket.write(nonsense)
        yield* Effect.promise(() => closed(socket.resume()))
      }
      assert.strictEqual((yield* ask(`${internalUrl}/healthz`)).status, 200)
    })
  )
})

describe("what the database tells", () => {
  it.live("closes the tunnels of a revoked token and of a removed edge within a second", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const revoked = yield* online(server)
      const removed = yield* connectRaw(server.tunnelUrl, { token: "ert_2" })
      const other = yield* connectRaw(server.tunnelUrl, { token: "ert_3" })
      yield* eventually("a welcome", () => [removed, other].every(({ messages }) => messages.length === 1))
      yield* server.events.append(tenantId, { type: "token.revoked", edgeId, tokenId })
      yield* server.events.append(tenantId, { type: "edge.removed", edgeId: tokenOf(2).edgeId })
      const closed = Effect.promise(() => Promise.all([revoked.closed, removed.closed]))
      const codes = yield* within(1, "both to be closed", closed)
      assert.deepStrictEqual(
        codes.map(({ code }) => code),
        [4003, 4003]
      )
      assert.isFalse(other.session.closed)
    })
  )

  it.live("hears that two machines fight for one token", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      for (let fight = 0; fight <= 5; fight++) {
        const agent = yield* connectRaw(server.tunnelUrl)
        yield* eventually("a welcome", () => agent.messages.length === 1)
      }
      yield* eventuallyEffect(
        "an entry",
        Effect.map(server.audit.list(tenantId, { limit: 10 }), ({ items }) =>
          items.some((entry) => entry.action === "edge.token_contended" && entry.edgeId === edgeId)
        )
      )
    })
  )
})
