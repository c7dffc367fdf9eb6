import { assert, layer } from "@effect/vitest"
import { EdgeNotFound, EdgeSessionNotFound } from "@edge-relay/domain/api/Problem"
import { Array, Effect, Redacted } from "effect"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"
import { clientOf } from "@edge-relay/testkit/api/TestClient"

const tenant = (name: string) =>
  Effect.gen(function* () {
    const api = yield* TestApi
    const person = yield* api.signIn(name)
    return { ...api, ...person, client: yield* clientOf(person.cookie) }
  })

layer(TestApi.layer(), { excludeTestServices: true })("Edges", (it) => {
  it.effect("are listed oldest first, a page at a time, each once", () =>
    Effect.gen(function* () {
      const { client, edges, tenantId } = yield* tenant("pages")
      const made = yield* Effect.forEach(Array.range(1, 7), (n) =>
        edges.create(tenantId, { name: `edge ${n}` })
      )
      const seen: Array<string> = []
      let cursor: string | null = null
      do {
        const page: {
          readonly items: ReadonlyArray<{ readonly id: string }>
          readonly nextCursor: string | null
        } = yield* client.edges.list({ query: { limit: 3, ...(cursor === null ? {} : { cursor }) } })
        assert.isAtMost(page.items.length, 3)
        seen.push(...page.items.map(({ id }) => id))
        cursor = page.nextCursor
      } while (cursor !== null)
      assert.deepStrictEqual(
        seen,
        made.map(({ id }) => id)
      )
    })
  )

  it.effect("are found by name, by label and by whether they are online", () =>
    Effect.gen(function* () {
      const { client, connect, edges, tenantId } = yield* tenant("filters")
      const press = yield* edges.create(tenantId, { name: "Press 4", labels: ["hall:a"] })
      const mill = yield* edges.create(tenantId, { name: "Mill", labels: ["hall:a", "old"] })
      yield* connect(tenantId, mill.id)
      const names = (query: Parameters<typeof client.edges.list>[0]["query"]) =>
        Effect.map(client.edges.list({ query }), ({ items }) => items.map(({ name }) => name))
      assert.deepStrictEqual(yield* names({ q: "press" }), ["Press 4"])
      assert.deepStrictEqual(yield* names({ label: "hall:a" }), ["Press 4", "Mill"])
      assert.deepStrictEqual(yield* names({ label: "old" }), ["Mill"])
      assert.deepStrictEqual(yield* names({ online: "true" }), ["Mill"])
      assert.deepStrictEqual(yield* names({ online: "false" }), ["Press 4"])
      assert.deepStrictEqual(yield* names({ online: "true", q: "press" }), [])
      assert.isFalse((yield* client.edges.get({ params: { edgeId: press.id } })).online)
    })
  )

  it.effect("show their tunnel, and nothing of the cluster's own", () =>
    Effect.gen(function* () {
      const { client, connect, cookie, edges, tenantId, url } = yield* tenant("session")
      const { id: edgeId } = yield* edges.create(tenantId, { name: "an edge" })
      const params = { edgeId }
      assert.instanceOf(yield* Effect.flip(client.edges.session({ params })), EdgeSessionNotFound)
      const summary = yield* connect(tenantId, edgeId)
      const session = yield* client.edges.session({ params })
      assert.deepStrictEqual(
        [session.hostname, session.protocol, session.roundTripMillis, session.bytesOut],
        ["box", "v2", 12.5, 2]
      )
      const { body } = yield* ask(`${url}/api/edges/${edgeId}`, { cookie })
      for (const inside of [summary.tokenId, tenantId]) assert.notInclude(body, inside)
      assert.match(body, /"connectedAt":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/)
    })
  )

  it.effect("are renamed and labelled, one or the other or both", () =>
    Effect.gen(function* () {
      const { client, edges, tenantId } = yield* tenant("renames")
      const { id: edgeId } = yield* edges.create(tenantId, { name: "before" })
      const params = { edgeId }
      const renamed = yield* client.edges.update({ params, payload: { name: "after" } })
      assert.deepStrictEqual([renamed.name, renamed.labels], ["after", []])
      const labelled = yield* client.edges.update({ params, payload: { labels: ["b", "a", "b"] } })
      assert.deepStrictEqual([labelled.name, labelled.labels], ["after", ["a", "b"]])
      assert.deepStrictEqual((yield* client.edges.update({ params, payload: { labels: [] } })).labels, [])
    })
  )

  it.effect("are removed with their tokens, and their tunnel is closed", () =>
    Effect.gen(function* () {
      const { client, closed, connect, tenantId, tokens } = yield* tenant("removes")
      const { code } = yield* client.pairing.createCode({ payload: {} })
      const { edgeId, token } = yield* (yield* clientOf()).edgePairing.exchange({ payload: { code } })
      yield* connect(tenantId, edgeId)
      yield* client.edges.remove({ params: { edgeId } })
      assert.deepStrictEqual(
        closed.filter((one) => one.edgeId === edgeId),
        [{ edgeId, reason: "revoked" }]
      )
      assert.instanceOf(yield* Effect.flip(client.edges.get({ params: { edgeId } })), EdgeNotFound)
      assert.instanceOf(yield* Effect.flip(client.edges.remove({ params: { edgeId } })), EdgeNotFound)
      assert.strictEqual(
        (yield* Effect.flip(tokens.authenticate(Redacted.make(token))))._tag,
        "TokenRejected"
      )
    })
  )

  it.effect("are disconnected while they have a tunnel", () =>
    Effect.gen(function* () {
      const { client, closed, connect, edges, tenantId } = yield* tenant("disconnects")
      const { id: edgeId } = yield* edges.create(tenantId, { name: "an edge" })
      const params = { edgeId }
      assert.instanceOf(yield* Effect.flip(client.edges.disconnect({ params })), EdgeSessionNotFound)
      yield* connect(tenantId, edgeId)
      yield* client.edges.disconnect({ params })
      assert.deepInclude(closed, { edgeId, reason: "disconnected" })
    })
  )

  it.effect("get a new token, and keep the old one for a while", () =>
    Effect.gen(function* () {
      const { client, tokens } = yield* tenant("rotates")
      const { code } = yield* client.pairing.createCode({ payload: {} })
      const { edgeId, token: old } = yield* (yield* clientOf()).edgePairing.exchange({ payload: { code } })
      const { token } = yield* client.edges.rotateToken({ params: { edgeId } })
      assert.notStrictEqual(token, old)
      for (const secret of [old, token]) {
        assert.strictEqual((yield* tokens.authenticate(Redacted.make(secret))).edgeId, edgeId)
      }
      const { tokenId } = yield* tokens.authenticate(Redacted.make(token))
      yield* tokens.connected(tokenId)
      assert.strictEqual((yield* Effect.flip(tokens.authenticate(Redacted.make(old))))._tag, "TokenRejected")
    })
  )

  it.effect("remember what was forwarded to them", () =>
    Effect.gen(function* () {
      const { client, cookie, edges, tenantId, url } = yield* tenant("traffic")
      const { id: edgeId } = yield* edges.create(tenantId, { name: "an edge" })
      const answer = yield* ask(`${url}/api/edges/${edgeId}/http/a/path?with=secrets`, { cookie })
      assert.strictEqual(answer.status, 503)
      assert.isDefined(answer.headers["retry-after"])
      const { items } = yield* client.edges.traffic({ params: { edgeId } })
      assert.deepStrictEqual(
        items.map(({ cause, method, path, requestId, status }) => [cause, method, path, requestId, status]),
        [["edge_offline", "GET", "/a/path", String(answer.headers["x-request-id"]), 503]]
      )
    })
  )

  it.effect("are counted, with what they do", () =>
    Effect.gen(function* () {
      const { client, connect, edges, tenantId } = yield* tenant("stats")
      const [first] = yield* Effect.forEach(["a", "b"], (name) => edges.create(tenantId, { name }))
      yield* connect(tenantId, (first ?? assert.fail()).id)
      const stats = yield* client.system.stats()
      assert.deepStrictEqual([stats.edges, stats.online, stats.streams], [2, 1, 0])
      const info = yield* client.system.info()
      assert.strictEqual(info.limits.jsonBodyBytes, 1024 * 1024)
      assert.match(info.version, /^\d+\.\d+\.\d+/)
    })
  )

  it.effect("leave a record of what was done to them", () =>
    Effect.gen(function* () {
      const { client, connect, edges, session, tenantId } = yield* tenant("records")
      const { id: edgeId } = yield* edges.create(tenantId, { name: "an edge" })
      yield* connect(tenantId, edgeId)
      const params = { edgeId }
      yield* client.edges.update({ params, payload: { name: "renamed", labels: [] } })
      yield* client.edges.disconnect({ params })
      yield* client.edges.rotateToken({ params })
      yield* client.edges.remove({ params })
      yield* Effect.flip(client.edges.update({ params, payload: { name: "gone" } }))
      const { items } = yield* client.audit.list({ query: { edgeId } })
      assert.deepStrictEqual(
        items.map(({ action, detail }) => [action, detail]),
        [
          ["edge.removed", null],
          ["edge.token_rotated", null],
          ["edge.disconnected", null],
          ["edge.updated", "name, labels"]
        ]
      )
      for (const { actor, outcome } of items)
        assert.deepStrictEqual([actor, outcome], [session.userId, "success"])
      const some = yield* client.audit.list({ query: { action: "edge.removed", limit: 1 } })
      assert.strictEqual(some.items.length, 1)
    })
  )
})
