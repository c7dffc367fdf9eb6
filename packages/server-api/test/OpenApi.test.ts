import { assert, layer } from "@effect/vitest"
import { Authorization } from "@edge-relay/domain/api/Authorization"
import { PublicApi } from "@edge-relay/domain/api/CloudApi"
import * as Problem from "@edge-relay/domain/api/Problem"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"

/** By the contract itself: its groups that ask for a session, and what is mounted under an edge. */
const isForTheSignedIn = (
  { endpoints }: (typeof PublicApi)["groups"][keyof (typeof PublicApi)["groups"]],
  path: string
) =>
  path.startsWith("/api/edges/:edgeId/") ||
  Object.values(endpoints).every(({ middlewares }) => middlewares.has(Authorization))

layer(TestApi.layer(), { excludeTestServices: true })("The documents", (it) => {
  it.effect("describe the whole contract in valid OpenAPI", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const answer = yield* ask(`${url}/openapi.json`)
      assert.strictEqual(answer.status, 200)
      // Valid, as the next line says.
      const document = answer.json as {
        readonly paths: {
          readonly [path: string]: {
            readonly [method: string]: { readonly security?: ReadonlyArray<unknown> }
          }
        }
      }
      const result = yield* Effect.promise(() => new Validator().validate(JSON.parse(answer.body)))
      assert.deepStrictEqual(result, { valid: true })
      for (const group of Object.values(PublicApi.groups)) {
        for (const { method, path } of Object.values(group.endpoints)) {
          const templated = path.replaceAll(/:([A-Za-z]+)/g, "{$1}")
          const operation = document.paths[templated]?.[method.toLowerCase()]
          assert.isDefined(operation, `${method} ${path}`)
          assert.strictEqual(
            (operation.security?.length ?? 0) > 0,
            isForTheSignedIn(group, path),
            `${method} ${path}`
          )
        }
      }
      const security = (method: string, path: string) => document.paths[path]?.[method]?.security
      assert.deepStrictEqual(security("get", "/api/edges"), [{ session: [] }, { token: ["edges:read"] }])
      assert.deepStrictEqual(security("get", "/api/auth/me"), [{ session: [] }, { token: [] }])
      assert.deepStrictEqual(security("post", "/api/tokens"), [{ session: [] }])
      assert.deepStrictEqual(security("get", "/api/edges/{edgeId}/cameras"), [
        { session: [] },
        { token: ["gateway"] }
      ])
    })
  )

  it.effect("list every code that an error can have", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const { body } = yield* ask(`${url}/openapi.json`)
      const codes = [
        "unauthorized",
        "cross_site",
        "invalid_request",
        "edge_not_found",
        "edge_offline",
        "not_found"
      ]
      for (const code of [...codes, "too_many_requests", "payload_too_large", "invalid_code", "slow_down"]) {
        assert.include(body, `"${code}"`)
      }
      assert.isAbove(Object.keys(Problem).length, 20)
    })
  )

  it.effect("show as a page that loads nothing from anywhere else, and may not", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const { body, headers } = yield* ask(`${url}/docs`)
      const policy = headers["content-security-policy"]?.toString() ?? ""
      assert.include(policy, "default-src 'none'")
      assert.include(policy, "connect-src 'self'")
      assert.notInclude(policy, "http")
      const scripts = Array.from(body.matchAll(/<script>([\s\S]*?)<\/script>/g), ([, source = ""]) => source)
      assert.strictEqual(scripts.length, 2)
      assert.notMatch(body, /<(script|link|img|iframe)[^>]+(src|href)="?http/)
      for (const source of scripts) {
        assert.include(policy, `'sha256-${createHash("sha256").update(source).digest("base64")}'`)
      }
    })
  )
})
