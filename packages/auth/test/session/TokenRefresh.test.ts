import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import * as SignInSessionsMemory from "@edge-relay/domain/sign-in/SignInSessionsMemory"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric, Option } from "effect"
import { unseal } from "../../src/provider/ProviderTokens.ts"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { eventually } from "@edge-relay/testkit/auth/eventually"
import { signedInBrowser, start } from "@edge-relay/testkit/auth/Hostile"
import { json, seconds } from "@edge-relay/testkit/auth/HostileProvider"
import { listening, newKey, serve } from "@edge-relay/testkit/auth/TestServer"

type App = Effect.Success<ReturnType<typeof start>>

const isRefresh = (form: URLSearchParams) => form.get("grant_type") === "refresh_token"
const refreshes = (app: App) => app.provider.to("/token").filter(({ form }) => isRefresh(form)).length

/** Signed in with an access token that wants refreshing at once. */
const due = Effect.gen(function* () {
  const app = yield* start()
  app.provider.behave.expiresIn = 0
  const browser = yield* signedInBrowser(app)
  app.provider.behave.expiresIn = 3600
  return { app, browser }
})

const sessionOf = (app: App, browser: Browser) =>
  Effect.map(app.check.find(`session=${browser.cookie("session")}`), Option.getOrUndefined)

const tokensOf = Effect.fnUntraced(function* (app: App, browser: Browser) {
  const checked = yield* sessionOf(app, browser)
  return checked === undefined
    ? undefined
    : Option.getOrUndefined(unseal(checked.cookie.id, checked.session.sealed))
})

describe("refreshing the provider's tokens", () => {
  it.live("happens when a request finds that it is due, and keeps the newest refresh token", () =>
    Effect.gen(function* () {
      const { app, browser } = yield* due
      const before = yield* tokensOf(app, browser)
      assert.strictEqual((yield* app.me(browser)).status, 200)
      yield* eventually(
        "tokens are refreshed",
        Effect.map(tokensOf(app, browser), (now) => now?.accessToken !== before?.accessToken)
      )
      const after = yield* tokensOf(app, browser)
      assert.notStrictEqual(after?.refreshToken, before?.refreshToken)
      const [, request] = app.provider.to("/token")
      assert.strictEqual(request?.form.get("refresh_token"), before?.refreshToken)
      assert.strictEqual(request?.form.get("client_id"), "edge-relay")
      assert.isFalse(request?.form.has("client_secret"))
      const me = yield* app.me(browser)
      assert.strictEqual(refreshes(app), 1)
      const { items } = yield* app.audit.list(JSON.parse(me.body).tenant.id, { limit: 1 })
      assert.deepStrictEqual([items[0]?.action, items[0]?.outcome], ["sign_in.refreshed", "success"])
      const metrics = yield* Metric.snapshot
      assert.isTrue(metrics.some(({ id }) => id === "sign_in_refreshes_total"))
    })
  )

  it.live("is one request for fifty at once", () =>
    Effect.gen(function* () {
      const { app, browser } = yield* due
      const checked = yield* sessionOf(app, browser)
      assert.isDefined(checked)
      const all = yield* Effect.forEach(
        Array.from({ length: 50 }),
        () => app.flow.refresh(checked.cookie, checked.session),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(refreshes(app), 1)
      assert.strictEqual(new Set(all.map((one) => Option.getOrThrow(one).sealed)).size, 1)
    })
  )

  it.live("is one request across two servers", () =>
    Effect.gen(function* () {
      const store = yield* Layer.build(SignInSessionsMemory.layer)
      const sessions = Layer.succeed(SignInSessions, Context.get(store, SignInSessions))
      const sessionKeys = [newKey()]
      const app = yield* start({ sessions, sessionKeys })
      const other = yield* serve(yield* listening, { issuer: app.provider.issuer, sessions, sessionKeys })
      app.provider.behave.expiresIn = 0
      const browser = yield* signedInBrowser(app)
      app.provider.behave.expiresIn = 3600
      const checked = yield* sessionOf(app, browser)
      assert.isDefined(checked)
      const [one, two] = yield* Effect.all(
        [
          app.flow.refresh(checked.cookie, checked.session),
          other.flow.refresh(checked.cookie, checked.session)
        ],
        { concurrency: "unbounded" }
      )
      assert.strictEqual(refreshes(app), 1)
      assert.strictEqual(Option.getOrThrow(one).sealed, Option.getOrThrow(two).sealed)
    })
  )

  it.live("that answers another subject ends the session", () =>
    Effect.gen(function* () {
      const { app, browser } = yield* due
      app.provider.behave.subject = "bob"
      yield* app.me(browser)
      yield* eventually(
        "the session ends",
        Effect.map(app.me(browser), ({ status }) => status === 401)
      )
      assert.strictEqual(yield* app.sessions.count, 0)
    })
  )

  it.live("that the provider refuses ends the session", () =>
    Effect.gen(function* () {
      const { app, browser } = yield* due
      app.provider.behave.token = () => json({ error: "invalid_grant" }, 400)
      yield* app.me(browser)
      yield* eventually(
        "the session ends",
        Effect.map(app.me(browser), ({ status }) => status === 401)
      )
    })
  )

  it.live("with an ID token by another key ends the session", () =>
    Effect.gen(function* () {
      const { app, browser } = yield* due
      app.provider.behave.sign = async () => "not.a.token"
      yield* app.me(browser)
      yield* eventually(
        "the session ends",
        Effect.map(app.me(browser), ({ status }) => status === 401)
      )
    })
  )

  it.live("without an ID token is fine, and keeps the former one and the former refresh token", () =>
    Effect.gen(function* () {
      const { app, browser } = yield* due
      const before = yield* tokensOf(app, browser)
      app.provider.behave.token = ({ access_token, expires_in, token_type }) =>
        json({ access_token, expires_in, token_type })
      yield* app.me(browser)
      yield* eventually(
        "tokens are refreshed",
        Effect.map(tokensOf(app, browser), (now) => now?.accessToken !== before?.accessToken)
      )
      const after = yield* tokensOf(app, browser)
      assert.strictEqual(after?.idToken, before?.idToken)
      assert.strictEqual(after?.refreshToken, before?.refreshToken)
    })
  )

  for (const [name, change] of [
    ["has expired", () => ({ exp: seconds() - 3600 })],
    ["is not valid yet", () => ({ nbf: seconds() + 3600 })],
    ["was made long ago", () => ({ iat: seconds() - 86_400 })],
    ["was made in the future", () => ({ iat: seconds() + 3600 })]
  ] as const) {
    it.live(`with an ID token that ${name} keeps the former one, and ends nothing`, () =>
      Effect.gen(function* () {
        const { app, browser } = yield* due
        const before = yield* tokensOf(app, browser)
        app.provider.behave.claims = (claims) => ({ ...claims, ...change() })
        yield* app.me(browser)
        yield* eventually(
          "tokens are refreshed",
          Effect.map(tokensOf(app, browser), (now) => now?.accessToken !== before?.accessToken)
        )
        assert.strictEqual((yield* tokensOf(app, browser))?.idToken, before?.idToken)
        assert.strictEqual((yield* app.me(browser)).status, 200)
      })
    )
  }

  it.live("with the sign-in's own ID token, old by now, is a refresh without one", () =>
    Effect.gen(function* () {
      const app = yield* start()
      let first: unknown
      app.provider.behave.expiresIn = 0
      // Its at_hash is that of the first access token.
      app.provider.behave.token = (answer) => {
        first ??= answer["id_token"]
        return json({ ...answer, id_token: first })
      }
      const browser = yield* signedInBrowser(app)
      app.provider.behave.expiresIn = 3600
      const before = yield* tokensOf(app, browser)
      yield* app.me(browser)
      yield* eventually(
        "tokens are refreshed",
        Effect.map(tokensOf(app, browser), (now) => now?.accessToken !== before?.accessToken)
      )
      assert.strictEqual((yield* tokensOf(app, browser))?.idToken, first)
      assert.strictEqual((yield* app.me(browser)).status, 200)
    })
  )

  it.live("with an old ID token of somebody else ends the session all the same", () =>
    Effect.gen(function* () {
      const { app, browser } = yield* due
      app.provider.behave.claims = (claims) => ({ ...claims, sub: "bob", exp: seconds() - 3600 })
      yield* app.me(browser)
      yield* eventually(
        "the session ends",
        Effect.map(app.me(browser), ({ status }) => status === 401)
      )
    })
  )

  it.live("while the provider is down leaves the session as it is, and is not tried at each request", () =>
    Effect.gen(function* () {
      const { app, browser } = yield* due
      app.provider.behave.token = () => ({ status: 503, headers: {}, body: "" })
      yield* app.me(browser)
      yield* eventually(
        "the next try is put off",
        Effect.map(
          sessionOf(app, browser),
          (checked) => (checked?.session.refreshAt ?? 0) > Date.now() + 10_000
        )
      )
      for (let index = 0; index < 5; index++) assert.strictEqual((yield* app.me(browser)).status, 200)
      assert.strictEqual(refreshes(app), 1)
    })
  )

  it.live("that sign-out overtakes brings nothing back, and the new refresh token is taken back", () =>
    Effect.gen(function* () {
      const { app, browser } = yield* due
      let release = () => {}
      const released = new Promise<void>((resolve) => (release = resolve))
      let reached = () => {}
      const arrived = new Promise<void>((resolve) => (reached = resolve))
      let issued = ""
      app.provider.behave.token = async (honest) => {
        issued = String(honest["refresh_token"])
        reached()
        await released
        return json(honest)
      }
      yield* app.me(browser)
      yield* Effect.promise(() => arrived)
      assert.strictEqual((yield* app.post(browser, "/api/auth/logout")).status, 200)
      release()
      yield* eventually(
        "the new refresh token is revoked",
        Effect.sync(() => app.provider.to("/revoke").some(({ form }) => form.get("token") === issued))
      )
      assert.strictEqual(yield* app.sessions.count, 0)
    })
  )

  it.live("is not tried where the provider gave no refresh token", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.expiresIn = 0
      app.provider.behave.refreshToken = false
      const browser = yield* signedInBrowser(app)
      assert.strictEqual((yield* app.me(browser)).status, 200)
      assert.isNull((yield* sessionOf(app, browser))?.session.refreshAt)
    })
  )
})

describe("the provider's tokens", () => {
  it.live("are in no answer and no cookie, and a store has them sealed", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const tokens = yield* tokensOf(app, browser)
      assert.isDefined(tokens)
      const stored = JSON.stringify((yield* sessionOf(app, browser))?.session)
      const answers = [
        (yield* app.me(browser)).body,
        (yield* browser.fetch(app.at("/api/auth/sessions"))).body,
        JSON.stringify(browser.cookies)
      ]
      for (const token of [tokens.accessToken, tokens.refreshToken ?? "?", tokens.idToken]) {
        assert.notInclude(stored, token)
        for (const answer of answers) assert.notInclude(answer, token)
      }
      assert.notInclude(stored, browser.cookie("session")?.split(".")[1] ?? "?")
    })
  )
})
