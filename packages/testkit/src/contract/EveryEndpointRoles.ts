import { isAtLeast, Role } from "@edge-relay/domain/sign-in/Role"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { bearer, call, endpoints, nameOf, newEdge, newToken, type Walked } from "./EveryEndpoint.ts"

/** Those that end the session that asks, or leave nothing to ask for. */
const ending = [
  "POST /api/auth/logout",
  "DELETE /api/auth/sessions",
  "DELETE /api/edges/:edgeId",
  "GET /api/edges/events"
]

/** Each endpoint is for who has its role, by a cookie and by a token of theirs, and for nobody who has less. */
export const holdsToRoles = Effect.fnUntraced(function* (
  walked: Walked,
  /** A cookie of somebody in Alice's tenant. */
  signInAs: (role: Role) => Effect.Effect<string>
) {
  const { url } = walked
  const admin = yield* signInAs("admin")
  const { edgeId } = yield* newEdge(walked, admin, "an edge")
  const ids = { edgeId, id: "code_01h00000000000000000000000", userCode: "BCDF-2345" }
  for (const role of Role.literals) {
    const cookie = yield* signInAs(role)
    const byCookie = { ...walked, signIn: () => Effect.succeed(cookie) }
    const { token } = yield* newToken(byCookie, "alice", [
      "edges:read",
      "edges:write",
      "gateway",
      "forward",
      "pairing"
    ])
    for (const endpoint of endpoints.filter(({ isPublic }) => !isPublic)) {
      const { name, scope } = endpoint
      for (const sent of scope === "none" ? [{ cookie }] : [{ cookie }, bearer(token)]) {
        if (isAtLeast(role, endpoint.role)) {
          if (ending.includes(name)) continue
          assert.notInclude([401, 403], (yield* call(url, endpoint, ids)(sent)).status, `${role}: ${name}`)
        } else {
          const refused = yield* call(url, endpoint, ids)(sent)
          assert.strictEqual(refused.status, 403, `${role}: ${name}`)
          assert.propertyVal(refused.json, "code", "forbidden", `${role}: ${name}`)
        }
      }
    }
  }
  assert.isString(yield* nameOf(walked, admin, edgeId))
})
