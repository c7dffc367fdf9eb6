import { assert, layer } from "@effect/vitest"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"
import { clientOf } from "@edge-relay/testkit/api/TestClient"
import { EventReader } from "@edge-relay/testkit/api/EventReader"
import { bearer } from "@edge-relay/testkit/contract/EveryEndpoint"
import { DateTime, Effect, Schedule } from "effect"

const everything = ["edges:read", "edges:write", "gateway", "forward", "pairing"] as const

layer(TestApi.layer({ TRUSTED_PROXIES: "127.0.0.1" }), { excludeTestServices: true })(
  "Access tokens",
  (it) => {
    it.effect("are shown once, listed without their secret, and revoked for good", () =>
      Effect.gen(function* () {
        const api = yield* TestApi
        const client = yield* clientOf((yield* api.signIn("once")).cookie)
        const made = yield* client.tokens.create({
          payload: { name: "backup", scopes: ["pairing", "edges:read"], expiresInSeconds: 3600 }
        })
        assert.match(made.token, /^erp_[0-9A-Za-z]{49}$/)
        assert.deepStrictEqual(made.scopes, ["edges:read", "pairing"])
        const { items } = yield* client.tokens.list({ query: {} })
        const { token, ...rest } = made
        assert.deepStrictEqual(items, [rest])
        assert.strictEqual((yield* ask(`${api.url}/api/edges`, bearer(token))).status, 200)
        yield* client.tokens.revoke({ params: { id: made.id } })
        assert.deepStrictEqual((yield* client.tokens.list({ query: {} })).items, [])
        yield* ask(`${api.url}/api/edges`, bearer(token)).pipe(
          Effect.repeat({ until: ({ status }) => status === 401, schedule: Schedule.spaced("20 millis") }),
          Effect.timeout("5 seconds")
        )
        const { headers } = yield* ask(`${api.url}/api/edges`, bearer(token))
        assert.strictEqual(headers["www-authenticate"], 'Bearer error="invalid_token"')
      })
    )

    it.effect("say who they are, when and from where they were last used", () =>
      Effect.gen(function* () {
        const api = yield* TestApi
        const { cookie, session } = yield* api.signIn("last used")
        const client = yield* clientOf(cookie)
        const made = yield* client.tokens.create({
          payload: { name: "ci", scopes: ["gateway"], expiresInSeconds: 60 }
        })
        const me = yield* ask(`${api.url}/api/auth/me`, {
          headers: { authorization: `Bearer ${made.token}`, "x-forwarded-for": "192.0.2.7" }
        })
        assert.strictEqual(me.status, 200)
        const { id, name, scopes, edges } = made
        const expiresAt = DateTime.formatIso(made.expiresAt)
        assert.deepNestedInclude(me.json, {
          "user.id": session.userId,
          "tenant.id": session.tenantId,
          session: null,
          token: { id, name, scopes, edges, expiresAt }
        })
        const used = yield* client.tokens.list({ query: {} }).pipe(
          Effect.repeat({
            until: ({ items }) => items[0]?.lastUsedAt !== null,
            schedule: Schedule.spaced("20 millis")
          }),
          Effect.timeout("5 seconds")
        )
        assert.strictEqual(used.items[0]?.lastUsedFrom, "192.0.2.7")
      })
    )

    it.effect("live a year at most, and say what is wrong with a wish", () =>
      Effect.gen(function* () {
        const api = yield* TestApi
        const { cookie } = yield* api.signIn("wishes")
        const good = { name: "ci", scopes: ["gateway"], expiresInSeconds: 365 * 86_400 }
        const post = (body: unknown) => ask(`${api.url}/api/tokens`, { method: "POST", cookie, body })
        assert.strictEqual((yield* post(good)).status, 201)
        for (const [path, wrong] of [
          ["expiresInSeconds", { expiresInSeconds: 365 * 86_400 + 1 }],
          ["expiresInSeconds", { expiresInSeconds: 0 }],
          ["scopes", { scopes: [] }],
          ["scopes.0", { scopes: ["everything"] }],
          ["name", { name: "" }],
          ["edges", { edges: {} }],
          ["edges.ids.0", { edges: { ids: ["x"] } }],
          ["edges.labels.0", { edges: { labels: [" "] } }]
        ] as const) {
          const answer = yield* post({ ...good, ...wrong })
          assert.strictEqual(answer.status, 400, path)
          assert.include(answer.body, `"path":"${path}"`)
        }
      })
    )

    it.effect("are in the audit log, made, used for a change and revoked", () =>
      Effect.gen(function* () {
        const api = yield* TestApi
        const alice = yield* api.signIn("audit")
        const client = yield* clientOf(alice.cookie)
        const { id, token } = yield* client.tokens.create({
          payload: { name: "ci", scopes: ["pairing"], expiresInSeconds: 60 }
        })
        const code = yield* ask(`${api.url}/api/pairing/codes`, {
          method: "POST",
          body: {},
          ...bearer(token)
        })
        assert.strictEqual(code.status, 201)
        yield* client.tokens.revoke({ params: { id } })
        const { items } = yield* api.audit.list(alice.tenantId, { limit: 3 })
        assert.deepStrictEqual(
          items.map(({ action, actor, detail }) => [action, actor, detail]),
          [
            ["access_token.revoked", alice.session.userId, `${id}: pairing`],
            ["pairing.code_created", alice.session.userId, `by ${id}`],
            ["access_token.created", alice.session.userId, `${id}: pairing`]
          ]
        )
        assert.notInclude(JSON.stringify(items), token)
        assert.notInclude(api.logs.join("\n"), token)
      })
    )

    it.effect("are not held to the rules on cookies, and decide alone where both come", () =>
      Effect.gen(function* () {
        const api = yield* TestApi
        const { cookie } = yield* api.signIn("rules")
        const client = yield* clientOf(cookie)
        const scopes = ["pairing"] as const
        const { token } = yield* client.tokens.create({
          payload: { name: "ci", scopes, expiresInSeconds: 60 }
        })
        const foreign = { "sec-fetch-site": "cross-site", origin: "https://evil.test" }
        const create = (headers: { readonly [name: string]: string }, cookie?: string) =>
          Effect.map(
            ask(`${api.url}/api/pairing/codes`, {
              method: "POST",
              body: {},
              headers: { ...foreign, ...headers },
              cookie
            }),
            ({ status }) => status
          )
        assert.strictEqual(yield* create({ authorization: `Bearer ${token}` }), 201)
        assert.strictEqual(yield* create({}, cookie), 403)
        assert.strictEqual(yield* create({ authorization: `Bearer ${token}x` }, cookie), 401)
        const list = yield* ask(`${api.url}/api/edges`, { cookie, ...bearer(token) })
        assert.strictEqual(list.status, 403)
      })
    )

    it.effect("end their event streams within a second of being revoked", () =>
      Effect.gen(function* () {
        const api = yield* TestApi
        const client = yield* clientOf((yield* api.signIn("events")).cookie)
        const scopes = everything
        const { id, token } = yield* client.tokens.create({
          payload: { name: "ci", scopes, expiresInSeconds: 60 }
        })
        const reader = yield* EventReader.open(api.url, { authorization: `Bearer ${token}` })
        assert.isFalse(reader.isEnded)
        yield* client.tokens.revoke({ params: { id } })
        yield* reader.until(() => reader.isEnded)
      }).pipe(Effect.scoped)
    )
  }
)
