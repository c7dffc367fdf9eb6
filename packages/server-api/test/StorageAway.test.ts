import { assert, layer } from "@effect/vitest"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Edges } from "@edge-relay/domain/edges/Edges"
import * as MemoryStorage from "@edge-relay/domain/MemoryStorage"
import { PairingCodes } from "@edge-relay/domain/pairing/PairingCodes"
import { PairingRequests } from "@edge-relay/domain/pairing/PairingRequests"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import * as SignInSessionsMemory from "@edge-relay/domain/sign-in/SignInSessionsMemory"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { type Context, Effect, Layer } from "effect"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"

/** Every operation of a repository fails, as with a database that is away. */
const away = <I, S extends object>(service: Context.Service<I, S>) =>
  Layer.effect(
    service,
    Effect.map(service, (real) => {
      const failure = Effect.fail(
        new StorageUnavailable({ operation: "test", cause: "a secret of the database's" })
      )
      const entries = Object.entries(real).map(([name, operation]) => [
        name,
        Effect.isEffect(operation) ? failure : () => failure
      ])
      // The same names, each failing in a way that its own type has.
      return Object.fromEntries(entries) as S
    })
  )

const storage = Layer.mergeAll(
  away(AuditLog),
  away(EdgeEvents),
  away(Edges),
  away(PairingCodes),
  away(PairingRequests),
  away(SessionTokens)
).pipe(Layer.provideMerge(Layer.merge(MemoryStorage.layer, SignInSessionsMemory.layer)))

layer(TestApi.layerOn(storage, { EDGE_DOMAIN: "edges.test" }), { excludeTestServices: true })(
  "While the database is away",
  (it) => {
    it.effect(
      "every endpoint that needs it answers 503, says when to come again, and nothing of the database",
      () =>
        Effect.gen(function* () {
          const { signIn, url } = yield* TestApi
          const { cookie } = yield* signIn("alice")
          const edge = `/api/edges/${EdgeId.make("edge_01h00000000000000000000000")}`
          const calls: ReadonlyArray<readonly [method: string, path: string, body?: unknown]> = [
            ["GET", "/api/edges"],
            ["GET", "/api/edges/events"],
            ["GET", edge],
            ["PATCH", edge, { name: "a name" }],
            ["DELETE", edge],
            ["GET", `${edge}/session`],
            ["POST", `${edge}/disconnect`],
            ["POST", `${edge}/token/rotate`],
            ["GET", `${edge}/traffic`],
            ["GET", `${edge}/http/`],
            [
              "GET",
              `/api/auth/edge?host=${"0".repeat(26)}.edges.test&attempt=aaaaaaaa&challenge=${"c".repeat(43)}`
            ],
            ["GET", "/api/audit"],
            ["GET", "/api/system/stats"],
            ["POST", "/api/pairing/codes", {}],
            ["GET", "/api/pairing/codes"],
            ["DELETE", "/api/pairing/codes/code_01h00000000000000000000000"],
            ["GET", "/api/pairing/requests/BCDF-2345"],
            ["POST", "/api/pairing/requests/BCDF-2345/approve"],
            ["POST", "/api/pairing/requests/BCDF-2345/deny"],
            ["POST", "/api/pairing/exchange", { code: "BCDF-2345" }],
            ["POST", "/api/pairing/requests", { hostname: "box" }],
            ["POST", "/api/pairing/requests/poll", { deviceCode: "code" }]
          ]
          for (const [method, path, body] of calls) {
            const answer = yield* ask(url + path, { method, cookie, body })
            assert.strictEqual(answer.status, 503, `${method} ${path}`)
            assert.propertyVal(answer.json, "code", "storage_unavailable", `${method} ${path}`)
            assert.match(answer.headers["retry-after"] ?? "", /^\d+$/, `${method} ${path}`)
            assert.notInclude(answer.body, "secret")
          }
        })
    )

    it.effect("a person on the way to an edge's host is shown a page", () =>
      Effect.gen(function* () {
        const { signIn, url } = yield* TestApi
        const { cookie } = yield* signIn("alice")
        const query = `host=${"0".repeat(26)}.edges.test&attempt=aaaaaaaa&challenge=${"c".repeat(43)}`
        const answer = yield* ask(`${url}/api/auth/edge?${query}`, {
          cookie,
          headers: { accept: "text/html" }
        })
        assert.strictEqual(answer.status, 503)
        assert.match(answer.headers["content-type"] ?? "", /^text\/html/)
        assert.match(answer.headers["retry-after"] ?? "", /^\d+$/)
      })
    )

    it.effect("what does not need it goes on", () =>
      Effect.gen(function* () {
        const { signIn, url } = yield* TestApi
        const { cookie } = yield* signIn("alice")
        for (const path of [
          "/healthz",
          "/",
          "/favicon.svg",
          "/api/auth/me",
          "/api/system/info",
          "/openapi.json"
        ]) {
          assert.strictEqual((yield* ask(url + path, { cookie })).status, 200, path)
        }
      })
    )
  }
)
