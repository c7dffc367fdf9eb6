import { assert, describe, it, layer } from "@effect/vitest"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { Config } from "../../src/Config.ts"
import type { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { Edges } from "@edge-relay/domain/edges/Edges"
import * as MemoryStorage from "@edge-relay/domain/MemoryStorage"
import { TokenId } from "@edge-relay/domain/ids/TokenId"
import { NodeCrypto } from "@effect/platform-node"
import { Array, Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { LiveEvents } from "../../src/live/LiveEvents.ts"
import { LiveListener } from "../../src/live/LiveListener.ts"
import type { Presence } from "@edge-relay/domain/tunnels/Presence"
import { EventReader } from "@edge-relay/testkit/api/EventReader"
import { ask, layerConfig, layerPresence, TestApi, TestPresence } from "@edge-relay/testkit/api/TestApi"
import { within } from "@edge-relay/testkit/Within"

/** Seconds. Half a second is what is promised, and 0.16 what it takes. */
const promised = 0.5

layer(TestApi.layer(), { excludeTestServices: true })("Live events", (it) => {
  it.effect("tell what happens to the tenant's edges, as it happens", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const alice = yield* api.signIn("alice")
      const reader = yield* EventReader.open(api.url, alice.cookie)
      assert.strictEqual(reader.headers["content-type"], "text/event-stream")
      assert.strictEqual(reader.headers["cache-control"], "no-store")

      const step = <A>(effect: Effect.Effect<A, unknown>) =>
        Effect.gen(function* () {
          const count = reader.events.length
          const result = yield* Effect.orDie(effect)
          yield* within(promised, `event ${count + 1}`, reader.take(count + 1))
          return result
        })
      const edge = yield* step(api.edges.create(alice.tenantId, { name: "press" }))
      yield* step(api.connect(alice.tenantId, edge.id))
      yield* step(api.edges.update(alice.tenantId, edge.id, { name: "mill" }))
      yield* step(Effect.sync(() => api.presence.contended("proxy", edge.id, alice.tenantId, true)))
      yield* step(Effect.sync(() => api.presence.offline("proxy", edge.id)))
      yield* step(api.edges.remove(alice.tenantId, edge.id))

      assert.deepStrictEqual(
        reader.events.map(({ edge, event }) => [event, edge?.name, edge?.online, edge?.contended]),
        [
          ["edge.updated", "press", false, false],
          ["edge.online", "press", true, false],
          ["edge.updated", "mill", true, false],
          ["edge.contended", "mill", true, true],
          ["edge.offline", "mill", false, true],
          ["edge.removed", undefined, undefined, undefined]
        ]
      )
      for (const { edgeId, id } of reader.events) {
        assert.strictEqual(edgeId, edge.id)
        assert.match(id, /^\d+-\d+$/)
      }
      api.presence.contended("proxy", edge.id, alice.tenantId, false)
    })
  )

  it.effect("tell nothing of another tenant's", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const alice = yield* api.signIn("alice")
      const bob = yield* api.signIn("bob")
      const reader = yield* EventReader.open(api.url, bob.cookie)
      const { id } = yield* api.edges.create(alice.tenantId, { name: "alice's" })
      yield* api.connect(alice.tenantId, id)
      yield* api.edges.create(bob.tenantId, { name: "bob's" })
      yield* reader.take(1)
      assert.notInclude(reader.text, "alice's")
      assert.notInclude(reader.text, id)
    })
  )

  it.effect("resume after the last one that was seen: nothing is missed, and nothing older is told", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const person = yield* api.signIn("resumes")
      const [kept, lost, never] = yield* Effect.forEach(["kept", "lost", "never"], (name) =>
        api.edges.create(person.tenantId, { name })
      )
      yield* api.connect(person.tenantId, (lost ?? assert.fail()).id)
      const lastEventId = yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* EventReader.open(api.url, person.cookie)
          yield* api.edges.update(person.tenantId, (kept ?? assert.fail()).id, { labels: ["seen"] })
          yield* first.take(1)
          return first.lastEventId
        })
      )
      yield* api.edges.update(person.tenantId, (kept ?? assert.fail()).id, { name: "renamed" })
      yield* api.edges.remove(person.tenantId, (never ?? assert.fail()).id)
      api.presence.offline("proxy", (lost ?? assert.fail()).id)

      const second = yield* EventReader.open(api.url, person.cookie, lastEventId)
      const told = second.events.map(({ edge, event }) => [event, edge?.name ?? null])
      assert.deepStrictEqual(told.slice(0, 2), [
        ["edge.updated", "renamed"],
        ["edge.removed", null]
      ])
      assert.deepInclude(told, ["edge.offline", "lost"])
      // And it goes on from there.
      const count = second.events.length
      yield* api.edges.update(person.tenantId, (kept ?? assert.fail()).id, { name: "again" })
      yield* second.take(count + 1)
      assert.strictEqual(second.events.at(-1)?.edge?.name, "again")
    })
  )

  it.effect("begin with the present state where nobody knows what was seen", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const person = yield* api.signIn("long away")
      for (const name of ["a", "b"]) yield* api.edges.create(person.tenantId, { name })
      for (const id of ["nonsense", "1-1", "999999999-1", "0-99999999999999", "💥"]) {
        const reader = yield* EventReader.open(api.url, person.cookie, encodeURIComponent(id))
        assert.deepStrictEqual(
          reader.events.map(({ edge, event }) => [event, edge?.name]),
          [
            ["edge.updated", "a"],
            ["edge.updated", "b"]
          ],
          id
        )
      }
      const tooLong = yield* ask(`${api.url}/api/edges/events`, {
        cookie: person.cookie,
        headers: { "last-event-id": "1".repeat(200) }
      })
      assert.strictEqual(tooLong.status, 400)
    })
  )

  it.effect("end within a second of the session", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const person = yield* api.signIn("signs out")
      const reader = yield* EventReader.open(api.url, person.cookie)
      yield* api.sessions.end(person.session.idHash, "signed_out")
      yield* within(
        1,
        "the end",
        reader.until(() => reader.isEnded)
      )
    })
  )

  it.effect("reach a thousand listeners with one event, encoded once", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const person = yield* api.signIn("thousand")
      const readers = yield* Effect.forEach(
        Array.range(1, 1000),
        () => EventReader.open(api.url, person.cookie),
        { concurrency: 50 }
      )
      yield* api.edges.create(person.tenantId, { name: "told" })
      yield* Effect.forEach(readers, (reader) => reader.take(1), { discard: true })
      // The same bytes: the same id, with the same millisecond in it.
      assert.strictEqual(new Set(readers.map(({ events }) => events[0]?.id)).size, 1)
    })
  )
})

describe("LiveEvents", () => {
  const layerBackend = Layer.mergeAll(MemoryStorage.layer, layerPresence).pipe(
    Layer.provideMerge(Layer.mergeAll(NodeCrypto.layer, TestPresence.layer, layerConfig()))
  )
  const tenantId = TenantId.make("tenant_01h00000000000000000000000")

  it.live("tells what another server has stored, and what it heard of a tunnel, soon", () =>
    Effect.gen(function* () {
      // Two servers: each follows the database and the proxies by itself.
      const context = yield* Effect.context<Edges | TestPresence | Presence | EdgeEvents | Config>()
      const serve = Layer.build(Layer.fresh(LiveEvents.layer)).pipe(
        Effect.map((built) => Context.get(built, LiveEvents)),
        Effect.provideContext(context)
      )
      const listeners = yield* Effect.forEach([yield* serve, yield* serve], (live) =>
        live.listen(tenantId, undefined)
      )
      const texts = ["", ""]
      for (const [index, { stream }] of listeners.entries()) {
        stream.on("data", (part: Buffer) => (texts[index] += part.toString()))
      }
      const told = (event: string) =>
        within(
          promised,
          event,
          Effect.gen(function* () {
            while (!texts.every((text) => text.includes(`event: ${event}`))) yield* Effect.sleep("2 millis")
          })
        )

      const edge = yield* (yield* Edges).create(tenantId, { name: "an edge" })
      yield* told("edge.updated")
      const { table } = yield* TestPresence
      table.online("proxy", {
        edgeId: edge.id,
        tenantId,
        tokenId: TokenId.make("tok_01h00000000000000000000000"),
        connectedAt: edge.createdAt,
        lastHeartbeatAt: edge.createdAt,
        protocol: "v2",
        agent: null,
        hostname: null,
        services: [],
        remoteAddress: null,
        roundTripMillis: null,
        streams: 0,
        bytesIn: 0,
        bytesOut: 0,
        proxyId: "proxy"
      })
      yield* told("edge.online")
      for (const { stream } of listeners) stream.destroy()
    }).pipe(Effect.provide(layerBackend))
  )

  it.effect("says something every 15 seconds", () =>
    Effect.gen(function* () {
      const live = yield* LiveEvents
      const { stream } = yield* live.listen(tenantId, undefined)
      const read = () => {
        let text = ""
        for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) text += String(chunk)
        return text
      }
      assert.match(read(), /^retry: 1000\nid: 0-\d+\n\n$/)
      yield* TestClock.adjust("14 seconds")
      assert.strictEqual(read(), "")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(read(), ":\n\n")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(read(), ":\n\n:\n\n")
      assert.strictEqual(live.count(), 1)
      stream.destroy()
      yield* Effect.promise(() => new Promise((resolve) => stream.once("close", resolve)))
      assert.strictEqual(live.count(), 0)
    }).pipe(Effect.provide(LiveEvents.layer.pipe(Layer.provide(layerBackend))))
  )
})

describe("LiveListener", () => {
  it("is let go when it falls too far behind", () => {
    const listener = new LiveListener(10)
    listener.push(Buffer.from("12345"))
    listener.push(Buffer.from("12345"))
    assert.isFalse(listener.stream.destroyed)
    listener.push(Buffer.from("1"))
    assert.isTrue(listener.stream.destroyed)
  })

  it("takes nothing more once it has ended", () => {
    const listener = new LiveListener(100)
    listener.push(Buffer.from("last"))
    listener.end()
    listener.push(Buffer.from("late"))
    listener.end()
    assert.strictEqual(String(listener.stream.read()), "last")
  })
})
