import * as AccessTokenSecret from "@edge-relay/domain/access-tokens/AccessTokenSecret"
import { scopes } from "@edge-relay/domain/access-tokens/Scope"
import { assert } from "@effect/vitest"
import { Effect, Redacted, Schedule } from "effect"
import { SecureRandom } from "effect/crypto"
import { type Ask, ask } from "../api/TestApi.ts"
import {
  type Walked,
  endpoints,
  owned,
  call,
  seen,
  Begun,
  Codes,
  json,
  newCode,
  newEdge,
  me,
  nameOf,
  bearer,
  newToken
} from "./EveryEndpoint.ts"

/**
 * Walks the contract's own value and tries every endpoint of a running api: without a cookie or token, with a tampered
 * one, with one that is over, with a token that is not for it, and as another tenant. It knows of the api nothing but its URL and how to sign
 * in, so that the same walk is made on every store, and on the real processes. An endpoint that is added and not
 * known how to call fails here.
 */
/** Those that anybody may call: each is one of these by decision, not by omission. */
const publicEndpoints = [
  "GET /api/auth/callback",
  "GET /api/auth/edge",
  "GET /api/auth/login",
  "GET /healthz",
  "GET /readyz",
  "POST /api/auth/backchannel-logout",
  "POST /api/auth/terminal/refresh",
  "POST /api/auth/terminal/requests",
  "POST /api/auth/terminal/requests/poll",
  "POST /api/pairing/exchange",
  "POST /api/pairing/requests",
  "POST /api/pairing/requests/poll",
  "POST /api/pairing/unpair"
]

/** One character of the signature is another one. */
const tamper = (cookie: string) =>
  cookie.replace(/.(.)$/, (end) => (end.startsWith("A") ? `B${end.slice(1)}` : `A${end.slice(1)}`))

/** Each public one was decided upon, and there are enough of all others for them to be all. */
export const decidesWhatIsPublic = () => {
  const found = endpoints.filter(({ isPublic }) => isPublic).map(({ name }) => name)
  assert.deepStrictEqual(found.toSorted(), publicEndpoints)
  assert.isAbove(endpoints.length, 54)
}

/** Every other one answers 401 to who sends that, and does nothing. */
export const refuses = Effect.fnUntraced(function* (walked: Walked, sent: Ask) {
  const { url } = walked
  const alice = yield* walked.signIn("alice")
  const { edgeId } = yield* newEdge(walked, alice, "an edge")
  const { session } = yield* me(walked, alice)
  const ids = { edgeId, id: session.id, userCode: "BCDF-2345" }
  for (const endpoint of endpoints.filter(({ isPublic }) => !isPublic)) {
    const answer = yield* call(url, endpoint, ids)(sent)
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
  readonly [what: string]: (walked: Walked) => Effect.Effect<Ask>
} = {
  "answers 401 without a cookie": () => Effect.succeed({}),
  "answers 401 to a tampered cookie": ({ signIn }) =>
    Effect.map(signIn("alice"), (cookie) => ({ cookie: tamper(cookie) })),
  "answers 401 to a cookie that is there twice": ({ signIn }) =>
    Effect.map(signIn("alice"), (cookie) => ({ cookie: `${cookie}; ${cookie}` })),
  "answers 401 once the session has been ended": Effect.fnUntraced(function* ({ signIn, url }) {
    const cookie = yield* signIn("alice")
    const answer = yield* ask(`${url}/api/auth/logout`, { method: "POST", cookie })
    assert.strictEqual(answer.status, 200, answer.body)
    return { cookie }
  }),
  "answers 401 to a tampered token": (walked) =>
    Effect.map(newToken(walked, "alice", scopes), ({ token }) => bearer(tamper(token))),
  "answers 401 to a token that was never issued": () =>
    Effect.map(Effect.provide(AccessTokenSecret.make, SecureRandom.layerWebCrypto), (secret) =>
      bearer(Redacted.value(secret))
    ),
  "answers 401 once the token has been revoked": Effect.fnUntraced(function* (walked) {
    const { cookie, id, token } = yield* newToken(walked, "alice", scopes)
    const answer = yield* ask(`${walked.url}/api/tokens/${id}`, { method: "DELETE", cookie })
    assert.strictEqual(answer.status, 204, answer.body)
    return bearer(token)
  }),
  "answers 401 once the token has expired": Effect.fnUntraced(function* (walked) {
    const { token } = yield* newToken(walked, "alice", scopes, { expiresInSeconds: 1 })
    const status = Effect.map(ask(`${walked.url}/api/auth/me`, bearer(token)), ({ status }) => status)
    assert.strictEqual(yield* status, 200)
    yield* Effect.repeat(status, {
      until: (status) => status === 401,
      schedule: Schedule.spaced("50 millis")
    }).pipe(Effect.timeout("30 seconds"), Effect.orDie)
    return bearer(token)
  })
}

/** What is another tenant's is answered as what was never issued, byte for byte, and is not touched. */
export const hidesFromOthers = Effect.fnUntraced(function* (
  walked: Walked,
  connect: (edgeId: string, tenantId: string) => Effect.Effect<unknown> = () => Effect.void
) {
  const { signIn, url } = walked
  const alice = yield* signIn("alice")
  const { cookie: bob, token: bobsToken } = yield* newToken(walked, "bob", scopes)
  const { id: tokenId } = yield* newToken(walked, "alice", scopes)
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
    token: "pat_01h00000000000000000000000",
    session: "sess_01h00000000000000000000000",
    userCode: "ZZZZ-9999"
  }
  for (const endpoint of endpoints.filter(({ path }) => owned.some((name) => path.includes(`:${name}`)))) {
    const [id, nobodysId] = endpoint.path.includes("/codes/")
      ? [code.id, never.code]
      : endpoint.path.includes("/tokens/")
        ? [tokenId, never.token]
        : [session.id, never.session]
    for (const sent of endpoint.scope === "none" ? [{ cookie: bob }] : [{ cookie: bob }, bearer(bobsToken)]) {
      const first = yield* call(url, endpoint, { edgeId, id, userCode })(sent)
      const second = yield* call(url, endpoint, { ...never, id: nobodysId })(sent)
      assert.strictEqual(first.status, 404, endpoint.name)
      assert.deepStrictEqual(seen(first), seen(second), endpoint.name)
    }
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
  const { cookie: bob, token: bobsToken } = yield* newToken(walked, "bob", scopes)
  const { edgeId } = yield* newEdge(walked, alice, "secret of alice")
  yield* newCode(walked, alice, "secret of alice")
  const { tenant, user } = yield* me(walked, alice)
  const lists = endpoints.filter(
    ({ isPublic, method, path }) =>
      method === "GET" && !path.includes(":") && !isPublic && path !== "/api/edges/events"
  )
  assert.isAbove(lists.length, 5)
  for (const endpoint of lists) {
    for (const sent of endpoint.scope === "none" ? [{ cookie: bob }] : [{ cookie: bob }, bearer(bobsToken)]) {
      const answer = yield* call(url, endpoint, {})(sent)
      assert.strictEqual(answer.status, 200, endpoint.name)
      for (const secret of ["secret of alice", edgeId, tenant.id, user.id]) {
        assert.notInclude(answer.body, secret, endpoint.name)
      }
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
