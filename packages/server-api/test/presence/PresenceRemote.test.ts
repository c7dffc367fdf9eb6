import { assert, describe, it } from "@effect/vitest"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { Context, Effect, Layer, Logger, Redacted, Schema } from "effect"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Presence, type PresenceChange } from "@edge-relay/domain/tunnels/Presence"
import * as PresenceRemote from "../../src/presence/PresenceRemote.ts"
import { PresenceTable } from "../../src/presence/PresenceTable.ts"

const tenantId = TenantId.make("tenant_01h00000000000000000000000")
const edge = (n: number) => EdgeId.make(`edge_01h0000000000000000000000${n}`)

/** A tunnel as a proxy writes it. */
const session = (edgeId: EdgeId, connectedAt = "2026-01-01T00:00:00.000Z", bytesIn = 0) => ({
  edgeId,
  tenantId,
  tokenId: "tok_01h00000000000000000000000",
  connectedAt,
  lastHeartbeatAt: connectedAt,
  protocol: "v2",
  agent: null,
  hostname: null,
  services: ["http"],
  remoteAddress: null,
  roundTripMillis: null,
  streams: 0,
  bytesIn,
  bytesOut: 0,
  proxyId: "a"
})

const offline = {
  type: "about:blank",
  title: "Edge has no session",
  status: 404,
  code: "edge_session_not_found"
}

/** A proxy's internal port, which says what a test has it say. */
class FakeProxy {
  readonly server: Server
  readonly asked: Array<string> = []
  readonly listeners = new Set<ServerResponse>()
  snapshot: { sessions: Array<unknown>; contended: Array<string> } = { sessions: [], contended: [] }
  /** Whether it takes connections and answers nothing, as a process that stands still. */
  hangs = false
  answer: (request: IncomingMessage) => { readonly status: number; readonly body?: unknown } = () => ({
    status: 404
  })

  constructor() {
    this.server = createServer((request, response) => {
      this.asked.push(`${request.method} ${request.url} ${request.headers.authorization}`)
      if (this.hangs) return
      if (request.url === "/healthz") return void response.end("{}")
      if (request.url !== "/internal/events") {
        const { body, status } = this.answer(request)
        response.writeHead(status, {
          "content-type": status < 400 ? "application/json" : "application/problem+json"
        })
        return void response.end(body === undefined ? undefined : JSON.stringify(body))
      }
      response.writeHead(200, { "content-type": "text/event-stream" })
      this.listeners.add(response)
      response.on("close", () => this.listeners.delete(response))
      this.#write(response, { type: "snapshot", draining: false, ...this.snapshot })
    })
  }

  tell(event: unknown): void {
    for (const listener of this.listeners) this.#write(listener, event)
  }

  breakOff(): void {
    for (const listener of this.listeners) listener.destroy()
  }

  #write(response: ServerResponse, event: unknown): void {
    response.write(`data: ${JSON.stringify(event)}\n\n`)
  }
}

const running = Effect.acquireRelease(
  Effect.callback<{ readonly proxy: FakeProxy; readonly url: string }>((resume) => {
    const proxy = new FakeProxy()
    proxy.server.listen(0, "127.0.0.1", () => {
      // Of a TCP port, hence never a path.
      const { port } = proxy.server.address() as AddressInfo
      resume(Effect.succeed({ proxy, url: `http://127.0.0.1:${port}` }))
    })
  }),
  ({ proxy: { server } }) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
)

const presenceOf = (url: string, silenceMillis?: number) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      PresenceRemote.layer({
        internalKey: Redacted.make("the key"),
        ...(silenceMillis !== undefined && { silenceMillis })
      }).pipe(Layer.provide(SessionDirectory.layerMemory(url)))
    )
    return yield* Effect.provideContext(Presence, context)
  })

const eventually = (isDone: () => boolean) =>
  Effect.gen(function* () {
    while (!isDone()) yield* Effect.sleep("5 millis")
  }).pipe(Effect.timeout("20 seconds"), Effect.orDie)

describe("PresenceRemote", () => {
  it.live("knows what its proxy holds, and hears of each change", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* running
      proxy.snapshot = { sessions: [session(edge(1))], contended: [edge(1)] }
      const presence = yield* presenceOf(url)
      assert.strictEqual(presence.missing().length, 1)
      yield* eventually(() => presence.session(edge(1)) !== undefined)
      assert.isTrue(presence.isContended(edge(1)))
      assert.deepStrictEqual(presence.missing(), [])
      assert.include(proxy.asked, "GET /internal/events Bearer the key")

      const changes: Array<PresenceChange> = []
      const stop = presence.watch((change) => changes.push(change))
      proxy.tell({ type: "online", session: session(edge(2)) })
      proxy.tell({
        type: "contended",
        edgeId: edge(1),
        tenantId,
        tokenId: session(edge(1)).tokenId,
        contended: false
      })
      proxy.tell({ type: "offline", edgeId: edge(1), tenantId })
      yield* eventually(() => changes.length === 3)
      stop()
      assert.deepStrictEqual(
        changes.map(({ type }) => type),
        ["edge.online", "edge.contended", "edge.offline"]
      )
      assert.deepStrictEqual(
        presence.onlineOf(tenantId).map(({ edgeId }) => edgeId),
        [edge(2)]
      )
    })
  )

  it.live("follows a proxy again that broke off, and takes what it says then for the truth", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* running
      proxy.snapshot = { sessions: [session(edge(1)), session(edge(2))], contended: [] }
      const presence = yield* presenceOf(url)
      yield* eventually(() => presence.onlineOf(tenantId).length === 2)
      proxy.snapshot = { sessions: [session(edge(2)), session(edge(3))], contended: [] }
      const changes: Array<string> = []
      presence.watch((change) => changes.push(change.type))
      proxy.breakOff()
      yield* eventually(() => presence.missing().length === 1)
      // Not yet: it may only have blinked.
      assert.strictEqual(presence.onlineOf(tenantId).length, 2)
      yield* eventually(() => presence.session(edge(3)) !== undefined)
      assert.deepStrictEqual(changes.sort(), ["edge.offline", "edge.online"])
      assert.deepStrictEqual(presence.missing(), [])
    })
  )

  it.live("takes edges for offline when their proxy stays away", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* running
      proxy.snapshot = { sessions: [session(edge(1))], contended: [] }
      const presence = yield* presenceOf(url)
      yield* eventually(() => presence.session(edge(1)) !== undefined)
      proxy.server.close()
      proxy.server.closeAllConnections()
      yield* eventually(() => presence.session(edge(1)) === undefined)
      assert.strictEqual(presence.missing().length, 1)
    })
  )

  it.live("takes edges for offline when their proxy takes connections and answers nothing", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* running
      proxy.snapshot = { sessions: [session(edge(1))], contended: [] }
      const presence = yield* presenceOf(url)
      yield* eventually(() => presence.session(edge(1)) !== undefined)
      proxy.hangs = true
      yield* eventually(() => presence.session(edge(1)) === undefined)
      assert.strictEqual(presence.missing().length, 1)
      proxy.hangs = false
      yield* eventually(() => presence.session(edge(1)) !== undefined)
    })
  )

  it.live("follows a proxy anew whose events are silent for too long", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* running
      const presence = yield* presenceOf(url, 1_000)
      yield* eventually(() => presence.missing().length === 0)
      yield* eventually(() => proxy.asked.filter((one) => one.includes("/internal/events")).length >= 2)
    })
  )

  it.live(
    "goes on asking other proxies for counters where one does not list its tunnels, and says so once",
    () =>
      Effect.gen(function* () {
        const [bad, good] = [yield* running, yield* running]
        good.proxy.snapshot = { sessions: [session(edge(1))], contended: [] }
        bad.proxy.answer = () => ({ status: 500 })
        good.proxy.answer = () => ({ status: 200, body: [session(edge(1), undefined, 77)] })
        const lines: Array<unknown> = []
        const directory = SessionDirectory.layerMemory(bad.url)
        const both = Layer.effect(
          SessionDirectory,
          Effect.map(SessionDirectory, (one) =>
            SessionDirectory.of({ ...one, proxies: Effect.succeed([bad.url, good.url]) })
          )
        ).pipe(Layer.provide(directory))
        const context = yield* Layer.build(
          PresenceRemote.layer({ internalKey: Redacted.make("the key"), listMillis: 50 }).pipe(
            Layer.provide(both),
            Layer.provide(Logger.layer([Logger.make(({ message }) => void lines.push(message))]))
          )
        )
        const presence = Context.get(context, Presence)
        yield* eventually(() => presence.onlineOf(tenantId)[0]?.bytesIn === 77)
        const refusals = () => bad.proxy.asked.filter((one) => one.includes("/internal/sessions")).length
        yield* eventually(() => presence.onlineOf(tenantId).length === 1 && refusals() >= 3)
        assert.strictEqual(lines.filter((line) => String(line).includes("figures stand still")).length, 1)
      })
  )

  it.live("asks for counters as they are now, and shows the last ones where it gets none", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* running
      proxy.snapshot = { sessions: [session(edge(1))], contended: [] }
      const presence = yield* presenceOf(url)
      yield* eventually(() => presence.session(edge(1)) !== undefined)
      proxy.answer = () => ({ status: 200, body: session(edge(1), undefined, 77) })
      assert.strictEqual((yield* presence.refresh(edge(1)))?.bytesIn, 77)
      proxy.answer = () => ({ status: 500, body: "nonsense" })
      assert.strictEqual((yield* presence.refresh(edge(1)))?.bytesIn, 77)
      assert.isUndefined(yield* presence.refresh(edge(2)))
    })
  )

  it.live("has a tunnel closed, and says where that was not done", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* running
      proxy.snapshot = { sessions: [session(edge(1))], contended: [] }
      const presence = yield* presenceOf(url)
      yield* eventually(() => presence.session(edge(1)) !== undefined)
      proxy.answer = () => ({ status: 204 })
      assert.isTrue(yield* presence.close(edge(1), "revoked"))
      assert.include(proxy.asked, `DELETE /internal/sessions/${edge(1)}?reason=revoked Bearer the key`)
      proxy.answer = () => ({ status: 404, body: offline })
      assert.isFalse(yield* presence.close(edge(1), "disconnected"))
      proxy.answer = () => ({ status: 500 })
      assert.strictEqual(
        (yield* Effect.flip(presence.close(edge(1), "disconnected")))._tag,
        "ProxyUnavailable"
      )
    })
  )
})

describe("PresenceTable", () => {
  const decode = Schema.decodeUnknownSync(Schema.toCodecJson(SessionSummary))
  const opened = (second: number) => decode(session(edge(1), `2026-01-01T00:00:0${second}.000Z`))

  it("shows an edge online without a break when a second proxy has it before the first has let it go", () => {
    const table = new PresenceTable()
    const changes: Array<string> = []
    table.online("a", opened(1))
    table.watch(({ type }) => changes.push(type))
    table.online("b", opened(2))
    table.offline("a", edge(1))
    assert.deepStrictEqual(changes, ["edge.online"])
    assert.strictEqual(table.proxyOf(edge(1)), "b")
    // What comes late from the first changes nothing.
    table.offline("a", edge(1))
    assert.isDefined(table.session(edge(1)))
  })

  it("takes the tunnel that was opened last for the edge's, and old news for none", () => {
    const table = new PresenceTable()
    const changes: Array<string> = []
    table.watch(({ type }) => changes.push(type))
    table.online("b", opened(2))
    table.online("a", opened(1))
    table.online("b", opened(2))
    assert.strictEqual(table.proxyOf(edge(1)), "b")
    assert.deepStrictEqual(changes, ["edge.online"])
  })

  it("forgets the tenants of whom nothing is online", () => {
    const table = new PresenceTable()
    table.online("a", opened(1))
    assert.strictEqual(table.onlineOf(tenantId).length, 1)
    table.drop("a")
    assert.deepStrictEqual(table.onlineOf(tenantId), [])
  })
})
