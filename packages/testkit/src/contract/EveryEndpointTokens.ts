import { scopes } from "@edge-relay/domain/access-tokens/Scope"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { ask } from "../api/TestApi.ts"
import { type Walked, endpoints, call, seen, newEdge, nameOf, bearer, newToken } from "./EveryEndpoint.ts"

/** A token is for what its scopes say and nothing else, and no token is for what is a person's own. */
export const holdsTokensToTheirScopes = Effect.fnUntraced(function* (walked: Walked) {
  const { url } = walked
  const { edgeId } = yield* newEdge(walked, yield* walked.signIn("alice"), "an edge")
  const ids = { edgeId, id: "code_01h00000000000000000000000", userCode: "BCDF-2345" }
  const without = new Map<string, string>()
  const only = new Map<string, string>()
  for (const scope of scopes) {
    const others = scopes.filter((other) => other !== scope)
    without.set(scope, (yield* newToken(walked, "alice", others)).token)
    only.set(scope, (yield* newToken(walked, "alice", [scope])).token)
  }
  const all = (yield* newToken(walked, "alice", scopes)).token
  const found = endpoints.filter(({ isPublic }) => !isPublic)
  assert.isAbove(found.filter(({ scope }) => scope !== "none").length, 35)
  for (const endpoint of found) {
    const { name, scope } = endpoint
    if (scope !== "any") {
      const refused = yield* call(url, endpoint, ids)(bearer(without.get(scope) ?? all))
      assert.strictEqual(refused.status, 403, name)
      assert.propertyVal(refused.json, "code", "insufficient_scope", name)
      assert.propertyVal(refused.json, "requestId", "walk", name)
      assert.strictEqual(refused.headers["www-authenticate"], 'Bearer error="insufficient_scope"', name)
    }
    // Last of all, since it removes the edge; the stream of events does not end.
    if (scope === "none" || name === "DELETE /api/edges/:edgeId" || name === "GET /api/edges/events") continue
    const taken = yield* call(url, endpoint, ids)(bearer(only.get(scope) ?? all))
    assert.notInclude([401, 403], taken.status, name)
  }
  const removed = yield* ask(`${url}/api/edges/${edgeId}`, {
    method: "DELETE",
    ...bearer(only.get("edges:write") ?? "")
  })
  assert.strictEqual(removed.status, 204)
})

/** To a token for some edges every other one is as what was never issued, byte for byte, and the tenant no list. */
export const holdsTokensToTheirEdges = Effect.fnUntraced(function* (walked: Walked) {
  const { url } = walked
  const alice = yield* walked.signIn("alice")
  const { edgeId } = yield* newEdge(walked, alice, "within reach")
  const beyond = yield* newEdge(walked, alice, "beyond reach")
  const { token } = yield* newToken(walked, "alice", scopes, { edges: { ids: [edgeId] } })
  const never = "edge_01h00000000000000000000000"
  for (const endpoint of endpoints.filter(({ isPublic, scope }) => !isPublic && scope !== "none")) {
    const { name, path, scope } = endpoint
    if (path.includes(":edgeId")) {
      const first = yield* call(url, endpoint, beyond)(bearer(token))
      const second = yield* call(url, endpoint, { edgeId: never })(bearer(token))
      assert.strictEqual(first.status, 404, name)
      assert.deepStrictEqual(seen(first), seen(second), name)
    } else if (scope !== "any" && name !== "GET /api/edges") {
      const refused = yield* call(url, endpoint, { id: never, userCode: "BCDF-2345" })(bearer(token))
      assert.strictEqual(refused.status, 403, name)
    }
  }
  const list = yield* ask(`${url}/api/edges`, bearer(token))
  assert.include(list.body, "within reach")
  assert.notInclude(list.body, "beyond reach")
  assert.strictEqual(yield* nameOf(walked, alice, beyond.edgeId), "beyond reach")
})
