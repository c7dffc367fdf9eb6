import { assert, layer } from "@effect/vitest"
import { Authorization } from "@edge-relay/domain/api/Authorization"
import { PublicApi } from "@edge-relay/domain/api/CloudApi"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Effect } from "effect"
import { type Answer, type Ask, ask, type Person, TestApi } from "@edge-relay/testkit/api/TestApi"
import { clientOf } from "@edge-relay/testkit/api/TestClient"

/**
 * Walks the contract's own value and tries every endpoint: without a cookie, with a tampered one, with one that
 * has expired, and as another tenant. An endpoint that is added and not known how to call fails here.
 */

interface Endpoint {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly isPublic: boolean
}

const mounted = "/api/edges/:edgeId/"

const endpoints: ReadonlyArray<Endpoint> = Object.values(PublicApi.groups).flatMap((group) =>
  Object.values(group.endpoints).map((endpoint) => {
    const method = String(endpoint.method)
    return {
      name: `${method} ${endpoint.path}`,
      method,
      path: endpoint.path,
      // What is an edge's has no middleware of ours: the gateway asks.
      isPublic: !endpoint.middlewares.has(Authorization) && !endpoint.path.startsWith(mounted)
    }
  })
)

/** Those that anybody may call: each is one of these by decision, not by omission. */
const publicEndpoints = [
  "GET /api/auth/callback",
  "GET /api/auth/login",
  "GET /healthz",
  "GET /readyz",
  "POST /api/auth/backchannel-logout",
  "POST /api/pairing/exchange",
  "POST /api/pairing/requests",
  "POST /api/pairing/requests/poll"
]

/** What an endpoint wants in its body to be understood. */
const bodies: { readonly [name: string]: unknown } = {
  "POST /api/pairing/codes": {},
  "PATCH /api/edges/:edgeId": { name: "renamed" }
}

/** What stands for each parameter that names something of a tenant, in a path of Alice's. */
const owned = ["edgeId", "id", "userCode"]

/** Of things on an edge: the edge is asked only when it is known whose it is. */
const onEdge = ["deviceId", "cameraId", "mediaId", "modelId", "clusterId"]

const call = (url: string, { method, name, path }: Endpoint, ids: { readonly [name: string]: string }) => {
  const filled = path.replaceAll(/:([A-Za-z]+)/g, (_, parameter: string) => {
    const id = ids[parameter] ?? (onEdge.includes(parameter) ? "some-id" : undefined)
    if (id === undefined) throw new Error(`${name}: this test does not know what a ${parameter} is`)
    return id
  })
  const body = path.startsWith(mounted) || method === "GET" || method === "DELETE" ? undefined : bodies[name]
  return (options: Ask) =>
    ask(url + filled, { method, body, ...options, headers: { "x-request-id": "walk", ...options.headers } })
}

/** What a client can tell apart, but for the time of day. */
const seen = ({ body, headers, status }: Answer) => ({ status, headers: { ...headers, date: "" }, body })

/** One character of the signature is another one. */
const tamper = (cookie: string) =>
  cookie.replace(/.(.)$/, (end) => (end.startsWith("A") ? `B${end.slice(1)}` : `A${end.slice(1)}`))

const withoutSession = (cookieOf: (person: Person) => string | undefined) =>
  Effect.gen(function* () {
    const api = yield* TestApi
    const alice = yield* api.signIn("alice")
    const cookie = cookieOf(alice)
    const { id: edgeId } = yield* api.edges.create(alice.tenantId, { name: "an edge" })
    const ids = { edgeId, id: alice.session.id, userCode: "BCDF-2345" }
    for (const endpoint of endpoints.filter(({ isPublic }) => !isPublic)) {
      const answer = yield* call(api.url, endpoint, ids)({ cookie })
      assert.strictEqual(answer.status, 401, endpoint.name)
      assert.strictEqual(answer.headers["content-type"], "application/problem+json", endpoint.name)
      assert.propertyVal(answer.json, "code", "unauthorized", endpoint.name)
      assert.propertyVal(answer.json, "requestId", "walk", endpoint.name)
      assert.strictEqual(answer.headers["cache-control"], "no-store", endpoint.name)
    }
    assert.strictEqual((yield* api.edges.get(alice.tenantId, edgeId)).name, "an edge")
  })

layer(TestApi.layer(), { excludeTestServices: true })("Every endpoint", (it) => {
  it.effect("is public only where that was decided, and there are enough of them to be all", () =>
    Effect.sync(() => {
      assert.deepStrictEqual(
        endpoints
          .filter(({ isPublic }) => isPublic)
          .map(({ name }) => name)
          .sort(),
        publicEndpoints
      )
      assert.isAbove(endpoints.length, 51)
    })
  )

  it.effect("answers 401 without a cookie", () => withoutSession(() => undefined))

  it.effect("answers 401 to a tampered cookie", () => withoutSession(({ cookie }) => tamper(cookie)))

  it.effect("answers 401 to a cookie that is there twice", () =>
    withoutSession(({ cookie }) => `${cookie}; ${cookie}`)
  )

  it.effect("answers 401 to an expired session", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const expired = yield* api.signIn("expired", { expiresInMillis: 20 })
      yield* Effect.sleep("30 millis")
      yield* withoutSession(() => expired.cookie)
    })
  )

  it.effect("answers 401 once the session has been ended", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const ended = yield* api.signIn("ended")
      yield* api.sessions.end(ended.session.idHash, "signed_out")
      yield* withoutSession(() => ended.cookie)
    })
  )

  it.effect("answers 404 to another tenant, the same as for what was never issued", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const alice = yield* api.signIn("alice")
      const bob = yield* api.signIn("bob")
      const edge = yield* api.edges.create(alice.tenantId, { name: "alice's" })
      yield* api.connect(alice.tenantId, edge.id)
      const client = yield* clientOf(alice.cookie)
      const code = yield* client.pairing.createCode({ payload: { name: "alice's" } })
      const { userCode } = yield* (yield* clientOf()).edgePairing.beginRequest({
        payload: { hostname: "box" }
      })
      yield* client.pairing.approveRequest({ params: { userCode } })

      const never = {
        edgeId: "edge_01h00000000000000000000000",
        code: "code_01h00000000000000000000000",
        session: "sess_01h00000000000000000000000",
        userCode: "ZZZZ-9999"
      }
      for (const endpoint of endpoints.filter(({ path }) =>
        owned.some((name) => path.includes(`:${name}`))
      )) {
        const isCode = endpoint.path.includes("/codes/")
        const theirs = { edgeId: edge.id, id: isCode ? code.id : alice.session.id, userCode }
        const nobodys = { ...never, id: isCode ? never.code : never.session }
        const [first, second] = [
          yield* call(api.url, endpoint, theirs)({ cookie: bob.cookie }),
          yield* call(api.url, endpoint, nobodys)({ cookie: bob.cookie })
        ]
        assert.strictEqual(first.status, 404, endpoint.name)
        assert.deepStrictEqual(seen(first), seen(second), endpoint.name)
      }
      // Nothing of it has had an effect.
      assert.strictEqual((yield* api.edges.get(alice.tenantId, edge.id)).name, "alice's")
      assert.isDefined(api.presence.session(EdgeId.make(edge.id)))
      assert.strictEqual((yield* client.pairing.listCodes({ query: {} })).items.length, 1)
      assert.strictEqual((yield* client.auth.me({ query: {} })).user.subject, "alice")
    })
  )

  it.effect("shows another tenant nothing in any list", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const alice = yield* api.signIn("lists")
      const bob = yield* api.signIn("no lists")
      const { id: edgeId } = yield* api.edges.create(alice.tenantId, { name: "secret of alice" })
      yield* api.connect(alice.tenantId, edgeId)
      yield* (yield* clientOf(alice.cookie)).pairing.createCode({ payload: { name: "secret of alice" } })
      const lists = endpoints.filter(
        ({ isPublic, method, path }) =>
          method === "GET" && !path.includes(":") && !isPublic && path !== "/api/edges/events"
      )
      assert.isAbove(lists.length, 5)
      for (const endpoint of lists) {
        const answer = yield* call(api.url, endpoint, {})({ cookie: bob.cookie })
        assert.strictEqual(answer.status, 200, endpoint.name)
        for (const secret of ["secret of alice", edgeId, alice.tenantId, alice.session.userId]) {
          assert.notInclude(answer.body, secret, endpoint.name)
        }
      }
    })
  )

  it.effect("refuses the gateway's paths and upgrades without a session", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const alice = yield* api.signIn("alice")
      const { id } = yield* api.edges.create(alice.tenantId, { name: "an edge" })
      const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" }
      for (const path of ["http", "http/", "http/a/b?c=d", "devices/x/inference/socket"]) {
        for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
          if (!path.startsWith("http") && method !== "GET") continue
          const url = `${api.url}/api/edges/${id}/${path}`
          assert.strictEqual((yield* ask(url, { method })).status, 401, `${method} ${path}`)
          if (method === "GET")
            assert.strictEqual((yield* ask(url, { method, headers: upgrade })).status, 401, path)
        }
      }
    })
  )
})
