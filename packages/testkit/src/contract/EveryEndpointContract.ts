import { Authorization } from "@edge-relay/domain/api/Authorization"
import { PublicApi } from "@edge-relay/domain/api/CloudApi"
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Answer, type Ask, ask } from "../api/TestApi.ts"

/**
 * Walks the contract's own value and tries every endpoint of a running api: without a cookie, with a tampered one,
 * with one whose session is over, and as another tenant. It knows of the api nothing but its URL and how to sign
 * in, so that the same walk is made on every store, and on the real processes. An endpoint that is added and not
 * known how to call fails here.
 */
export interface Walked {
  readonly url: string
  /** The cookie of a new session of that person's, each of whom is in a tenant of their own. */
  readonly signIn: (person: "alice" | "bob") => Effect.Effect<string>
}

interface Endpoint {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly isPublic: boolean
}

const mounted = "/api/edges/:edgeId/"

export const endpoints: ReadonlyArray<Endpoint> = Object.values(PublicApi.groups).flatMap((group) =>
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
  "GET /api/auth/edge",
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

const Code = Schema.Struct({ id: Schema.String, code: Schema.String })
const Paired = Schema.Struct({ edgeId: Schema.String })
const Begun = Schema.Struct({ userCode: Schema.String })
const Named = Schema.Struct({ name: Schema.String })
const Codes = Schema.Struct({ items: Schema.Array(Schema.Unknown) })
const Me = Schema.Struct({
  user: Schema.Struct({ id: Schema.String }),
  tenant: Schema.Struct({ id: Schema.String }),
  session: Schema.Struct({ id: Schema.String })
})

/** What must be there for the walk, made through the api alone. */
const json = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  status: number,
  url: string,
  options: Ask = {}
) =>
  Effect.map(ask(url, options), (answer) => {
    assert.strictEqual(answer.status, status, `${url} ${answer.body}`)
    return Schema.decodeUnknownSync(schema)(answer.json)
  })

const newCode = ({ url }: Walked, cookie: string, name: string) =>
  json(Code, 201, `${url}/api/pairing/codes`, { method: "POST", cookie, body: { name } })

const newEdge = Effect.fnUntraced(function* (walked: Walked, cookie: string, name: string) {
  const { code } = yield* newCode(walked, cookie, name)
  const body = { code }
  return yield* json(Paired, 201, `${walked.url}/api/pairing/exchange`, { method: "POST", body })
})

const me = ({ url }: Walked, cookie: string) => json(Me, 200, `${url}/api/auth/me`, { cookie })

const nameOf = ({ url }: Walked, cookie: string, edgeId: string) =>
  Effect.map(json(Named, 200, `${url}/api/edges/${edgeId}`, { cookie }), ({ name }) => name)

/** Each public one was decided upon, and there are enough of all others for them to be all. */
export const decidesWhatIsPublic = () => {
  const found = endpoints.filter(({ isPublic }) => isPublic).map(({ name }) => name)
  assert.deepStrictEqual(found.toSorted(), publicEndpoints)
  assert.isAbove(endpoints.length, 51)
}

/** Every other one answers 401 to that cookie, and does nothing. */
export const refuses = Effect.fnUntraced(function* (walked: Walked, cookie: string | undefined) {
  const { url } = walked
  const alice = yield* walked.signIn("alice")
  const { edgeId } = yield* newEdge(walked, alice, "an edge")
  const { session } = yield* me(walked, alice)
  const ids = { edgeId, id: session.id, userCode: "BCDF-2345" }
  for (const endpoint of endpoints.filter(({ isPublic }) => !isPublic)) {
    const answer = yield* call(url, endpoint, ids)({ cookie })
    assert.strictEqual(answer.status, 401, endpoint.name)
    assert.strictEqual(answer.headers["content-type"], "application/problem+json", endpoint.name)
    assert.propertyVal(answer.json, "code", "unauthorized", endpoint.name)
    assert.propertyVal(answer.json, "requestId", "walk", endpoint.name)
    assert.strictEqual(answer.headers["cache-control"], "no-store", endpoint.name)
  }
  assert.strictEqual(yield* nameOf(walked, alice, edgeId), "an edge")
})

/** The ways to have no session that need nothing but a session, by what they are called. */
export const withoutSession: {
  readonly [what: string]: (walked: Walked) => Effect.Effect<string | undefined>
} = {
  "answers 401 without a cookie": () => Effect.undefined,
  "answers 401 to a tampered cookie": ({ signIn }) => Effect.map(signIn("alice"), tamper),
  "answers 401 to a cookie that is there twice": ({ signIn }) =>
    Effect.map(signIn("alice"), (cookie) => `${cookie}; ${cookie}`),
  "answers 401 once the session has been ended": Effect.fnUntraced(function* ({ signIn, url }) {
    const cookie = yield* signIn("alice")
    const answer = yield* ask(`${url}/api/auth/logout`, { method: "POST", cookie })
    assert.strictEqual(answer.status, 200, answer.body)
    return cookie
  })
}

/** What is another tenant's is answered as what was never issued, byte for byte, and is not touched. */
export const hidesFromOthers = Effect.fnUntraced(function* (
  walked: Walked,
  connect: (edgeId: string, tenantId: string) => Effect.Effect<unknown> = () => Effect.void
) {
  const { signIn, url } = walked
  const alice = yield* signIn("alice")
  const bob = yield* signIn("bob")
  const { edgeId } = yield* newEdge(walked, alice, "alice's")
  const { session, tenant } = yield* me(walked, alice)
  yield* connect(edgeId, tenant.id)
  const before = yield* json(Codes, 200, `${url}/api/pairing/codes`, { cookie: alice })
  const code = yield* newCode(walked, alice, "alice's")
  const { userCode } = yield* json(Begun, 201, `${url}/api/pairing/requests`, {
    method: "POST",
    body: { hostname: "box" }
  })
  const approve = `${url}/api/pairing/requests/${userCode}/approve`
  assert.strictEqual((yield* ask(approve, { method: "POST", cookie: alice })).status, 204)

  const never = {
    edgeId: "edge_01h00000000000000000000000",
    code: "code_01h00000000000000000000000",
    session: "sess_01h00000000000000000000000",
    userCode: "ZZZZ-9999"
  }
  for (const endpoint of endpoints.filter(({ path }) => owned.some((name) => path.includes(`:${name}`)))) {
    const isCode = endpoint.path.includes("/codes/")
    const theirs = { edgeId, id: isCode ? code.id : session.id, userCode }
    const nobodys = { ...never, id: isCode ? never.code : never.session }
    const first = yield* call(url, endpoint, theirs)({ cookie: bob })
    const second = yield* call(url, endpoint, nobodys)({ cookie: bob })
    assert.strictEqual(first.status, 404, endpoint.name)
    assert.deepStrictEqual(seen(first), seen(second), endpoint.name)
  }
  assert.strictEqual(yield* nameOf(walked, alice, edgeId), "alice's")
  const after = yield* json(Codes, 200, `${url}/api/pairing/codes`, { cookie: alice })
  assert.strictEqual(after.items.length, before.items.length + 1)
  return { edgeId }
})

/** Nothing of Alice's is in any list of Bob's. */
export const listsNothingOfOthers = Effect.fnUntraced(function* (walked: Walked) {
  const { signIn, url } = walked
  const alice = yield* signIn("alice")
  const bob = yield* signIn("bob")
  const { edgeId } = yield* newEdge(walked, alice, "secret of alice")
  yield* newCode(walked, alice, "secret of alice")
  const { tenant, user } = yield* me(walked, alice)
  const lists = endpoints.filter(
    ({ isPublic, method, path }) =>
      method === "GET" && !path.includes(":") && !isPublic && path !== "/api/edges/events"
  )
  assert.isAbove(lists.length, 5)
  for (const endpoint of lists) {
    const answer = yield* call(url, endpoint, {})({ cookie: bob })
    assert.strictEqual(answer.status, 200, endpoint.name)
    for (const secret of ["secret of alice", edgeId, tenant.id, user.id]) {
      assert.notInclude(answer.body, secret, endpoint.name)
    }
  }
})

/** The gateway's own paths, by every method, and upgrades. */
export const guardsTheGateway = Effect.fnUntraced(function* (walked: Walked) {
  const { edgeId } = yield* newEdge(walked, yield* walked.signIn("alice"), "an edge")
  const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" }
  for (const path of ["http", "http/", "http/a/b?c=d", "devices/x/inference/socket"]) {
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
      if (!path.startsWith("http") && method !== "GET") continue
      const url = `${walked.url}/api/edges/${edgeId}/${path}`
      assert.strictEqual((yield* ask(url, { method })).status, 401, `${method} ${path}`)
      if (method === "GET") {
        assert.strictEqual((yield* ask(url, { method, headers: upgrade })).status, 401, path)
      }
    }
  }
})
