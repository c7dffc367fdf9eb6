import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { signedInBrowser, start } from "@edge-relay/testkit/auth/Hostile"

type App = Effect.Success<ReturnType<typeof start>>

/** What the server says to a request with exactly this Cookie header. */
const meWith = (app: App, cookie: string) =>
  Effect.map(
    new Browser().fetch(app.at("/api/auth/me"), { headers: { cookie, accept: "application/json" } }),
    ({ status }) => status
  )

describe("a session's time", () => {
  const startAtNow = (options: {
    readonly idle?: Duration.Duration
    readonly absolute?: Duration.Duration
  }) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.now())
      return yield* start(options)
    })

  it.live("is 8 hours without use and 7 days at most, unless a server is told otherwise", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const asked = Date.now()
      const { createdAt, expiresAt, idleExpiresAt } = JSON.parse((yield* app.me(browser)).body).session
      assert.strictEqual(Date.parse(expiresAt) - Date.parse(createdAt), 7 * 86_400_000)
      assert.isAtLeast(Date.parse(idleExpiresAt), asked + 8 * 3_600_000)
      assert.isAtMost(Date.parse(idleExpiresAt), Date.now() + 8 * 3_600_000)
    })
  )

  it.effect("is over when it was not used for that long", () =>
    Effect.gen(function* () {
      const app = yield* startAtNow({ idle: Duration.minutes(8) })
      const browser = yield* signedInBrowser(app)
      yield* TestClock.adjust("7 minutes")
      assert.strictEqual((yield* app.me(browser)).status, 200)
      yield* TestClock.adjust("7 minutes")
      assert.strictEqual((yield* app.me(browser)).status, 200)
      yield* TestClock.adjust("8 minutes")
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )

  it.effect("is not extended by asking with slide=false", () =>
    Effect.gen(function* () {
      const app = yield* startAtNow({ idle: Duration.minutes(8) })
      const browser = yield* signedInBrowser(app)
      const poll = browser.fetch(app.at("/api/auth/me?slide=false"))
      const idleExpiresAt = JSON.parse((yield* poll).body).session.idleExpiresAt
      for (let minute = 1; minute < 8; minute++) {
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(JSON.parse((yield* poll).body).session.idleExpiresAt, idleExpiresAt)
      }
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* poll).status, 401)
    })
  )

  it.effect("is over at its absolute end, whatever is asked of it", () =>
    Effect.gen(function* () {
      const app = yield* startAtNow({ idle: Duration.minutes(8), absolute: Duration.minutes(30) })
      const browser = yield* signedInBrowser(app)
      for (let minutes = 0; minutes < 25; minutes += 5) {
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual((yield* app.me(browser)).status, 200)
      }
      const { session } = JSON.parse((yield* app.me(browser)).body)
      assert.strictEqual(session.idleExpiresAt, session.expiresAt)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )
})

describe("my sign-ins", () => {
  it.live("are listed, newest first, with the one that asks marked", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const first = yield* signedInBrowser(app)
      const second = yield* signedInBrowser(app)
      app.provider.behave.subject = "bob"
      yield* signedInBrowser(app)
      const { items, nextCursor } = JSON.parse((yield* first.fetch(app.at("/api/auth/sessions"))).body)
      assert.isNull(nextCursor)
      assert.deepStrictEqual(
        items.map((item: { readonly current: boolean }) => item.current),
        [false, true]
      )
      const [other] = items
      assert.match(other.id, /^sess_[0-7][0-9a-z]{25}$/)
      assert.strictEqual(other.userAgent, "test browser")
      assert.strictEqual(other.address, "127.0.0.1")
      assert.match(other.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      assert.notInclude(JSON.stringify(items), second.cookie("session")?.split(".")[1] ?? "?")
    })
  )

  it.live("can be ended one by one, and all but this one", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const [here, there, elsewhere] = [
        yield* signedInBrowser(app),
        yield* signedInBrowser(app),
        yield* signedInBrowser(app)
      ]
      const idOf = (browser: Browser) =>
        Effect.map(app.me(browser), ({ body }) => String(JSON.parse(body).session.id))
      assert.strictEqual(
        (yield* app.post(here, `/api/auth/sessions/${yield* idOf(there)}`, "DELETE")).status,
        204
      )
      assert.strictEqual((yield* app.me(there)).status, 401)
      assert.strictEqual((yield* app.me(elsewhere)).status, 200)
      assert.strictEqual((yield* app.post(here, "/api/auth/sessions", "DELETE")).status, 204)
      assert.strictEqual((yield* app.me(elsewhere)).status, 401)
      assert.strictEqual((yield* app.me(here)).status, 200)
      const own = yield* app.post(here, `/api/auth/sessions/${yield* idOf(here)}`, "DELETE")
      assert.strictEqual(own.status, 204)
      assert.strictEqual(here.cookie("session"), undefined)
    })
  )

  it.live("of somebody else do not exist: the same bytes as for an id that was never issued", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const alice = yield* signedInBrowser(app)
      app.provider.behave.subject = "bob"
      const bob = yield* signedInBrowser(app)
      const { session } = JSON.parse((yield* app.me(alice)).body)
      const theirs = yield* app.post(bob, `/api/auth/sessions/${session.id}`, "DELETE")
      const nobodys = yield* app.post(bob, "/api/auth/sessions/sess_01h455vb4pex5vsknk084sn02q", "DELETE")
      assert.strictEqual(theirs.status, 404)
      assert.strictEqual(theirs.body, nobodys.body)
      assert.strictEqual((yield* app.me(alice)).status, 200)
    })
  )

  it.live("that end are told to whoever watches them, at once", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const checked = Option.getOrThrow(yield* app.check.find(`session=${browser.cookie("session")}`))
      const seen: Array<string> = []
      app.sessions.watch(checked.session, (reason) => seen.push(reason))
      yield* app.post(browser, "/api/auth/logout")
      assert.deepStrictEqual(seen, ["signed_out"])
    })
  )
})

describe("signing out", () => {
  it.live(
    "sends no ID token of more than 2 KB to the provider's end-session page, but who and whose it is",
    () =>
      Effect.gen(function* () {
        const app = yield* start()
        app.provider.behave.claims = (claims) => ({
          ...claims,
          groups: "g".repeat(21_000),
          email: "a@b.example"
        })
        const browser = yield* signedInBrowser(app)
        const { logoutUrl } = JSON.parse((yield* app.post(browser, "/api/auth/logout")).body)
        assert.isBelow(logoutUrl.length, 1000)
        const { searchParams } = new URL(logoutUrl)
        assert.deepStrictEqual(Object.fromEntries(searchParams), {
          client_id: "edge-relay",
          logout_hint: "a@b.example",
          post_logout_redirect_uri: app.at("/").href
        })
      })
  )

  it.live("ends the session here first, then tells where to sign out of the provider", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const old = browser.cookie("session") ?? ""
      const answer = yield* app.post(browser, "/api/auth/logout")
      assert.strictEqual(answer.status, 200)
      const logoutUrl = new URL(JSON.parse(answer.body).logoutUrl)
      assert.strictEqual(logoutUrl.origin + logoutUrl.pathname, `${app.provider.issuer}/end-session`)
      assert.strictEqual(logoutUrl.searchParams.get("post_logout_redirect_uri"), app.at("/").href)
      assert.strictEqual(logoutUrl.searchParams.get("id_token_hint")?.split(".").length, 3)
      assert.strictEqual(browser.cookie("session"), undefined)
      assert.strictEqual(yield* meWith(app, `session=${old}`), 401)
    })
  )

  it.live("takes the refresh token back at the provider", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      yield* app.post(browser, "/api/auth/logout")
      yield* Effect.yieldNow
      yield* Effect.repeat(Effect.sleep(10), { while: () => app.provider.to("/revoke").length === 0 })
      assert.strictEqual(app.provider.to("/revoke")[0]?.form.get("token_type_hint"), "refresh_token")
    })
  )

  it.live("works while the provider is down", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      app.provider.behave.discovery = () => "reset"
      const answer = yield* app.post(browser, "/api/auth/logout")
      assert.strictEqual(answer.status, 200)
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )

  it.live("leads nowhere where the provider has no such page", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.metadata = ({ end_session_endpoint: _endpoint, ...metadata }) => metadata
      const browser = yield* signedInBrowser(app)
      assert.deepStrictEqual(JSON.parse((yield* app.post(browser, "/api/auth/logout")).body), {
        logoutUrl: null
      })
    })
  )
})
