import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { assertLanded, assertPage, signedInBrowser, start } from "@edge-relay/testkit/auth/Hostile"
import { json } from "@edge-relay/testkit/auth/HostileProvider"

describe("tabs", () => {
  it.live("five of one browser finish in any order, each where it began, and leave one session", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const tabs = yield* Effect.forEach(["/a", "/b", "/c", "/d", "/e"], (returnTo) =>
        Effect.map(app.toCallback(browser, returnTo), (callback) => ({ returnTo, callback }))
      )
      for (const index of [3, 0, 4, 2, 1]) {
        const tab = tabs[index]
        assert.isDefined(tab)
        const answer = yield* browser.fetch(tab.callback)
        assert.strictEqual(answer.location?.pathname, tab.returnTo, answer.body)
      }
      assert.strictEqual(yield* app.sessions.count, 1)
      assert.strictEqual((yield* app.me(browser)).status, 200)
    })
  )

  it.live("five that finish at once leave one session", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const tabs = yield* Effect.forEach(["/a", "/b", "/c", "/d", "/e"], (returnTo) =>
        app.toCallback(browser, returnTo)
      )
      const answers = yield* Effect.forEach(tabs, (callback) => browser.fetch(callback), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        answers.map(({ location }) => location?.pathname),
        ["/a", "/b", "/c", "/d", "/e"]
      )
      assert.strictEqual(yield* app.sessions.count, 1)
    })
  )

  it.live(
    "32 of one browser finish, and of one more the oldest is dropped, which knows where it was to lead",
    () =>
      Effect.gen(function* () {
        const app = yield* start()
        const browser = new Browser()
        const tabs = yield* Effect.forEach(Array.from({ length: 33 }), (_, tab) =>
          app.toCallback(browser, `/tab-${tab}`)
        )
        const [first, ...others] = tabs
        assert.isDefined(first)
        assertPage(yield* browser.fetch(first), 400, "This sign-in has expired")
        for (const [index, callback] of others.entries()) {
          assert.strictEqual((yield* browser.fetch(callback)).location?.pathname, `/tab-${index + 1}`)
        }
        assert.strictEqual(yield* app.sessions.count, 1)
      })
  )

  for (const [what, prepare] of [
    ["a browser without a cookie", () => Effect.void],
    [
      "a browser whose session has ended",
      (app: Effect.Success<ReturnType<typeof start>>, browser: Browser) =>
        Effect.gen(function* () {
          yield* app.signIn(browser)
          const stale = [...browser.cookies]
          yield* app.post(browser, "/api/auth/logout")
          browser.cookies.push(...stale)
        })
    ]
  ] as const) {
    it.live(`forty that ${what} restores at once all end where they wanted to go`, () =>
      Effect.gen(function* () {
        const app = yield* start({ perMinute: { begin: 200, callback: 200 } })
        const browser = new Browser()
        yield* prepare(app, browser)
        const wanted = Array.from({ length: 40 }, (_, tab) => `/tab-${tab}`)
        // All ask before any is answered, as restored tabs do, and so have a cookie each.
        const login = (returnTo: string) => app.at(`/api/auth/login?${new URLSearchParams({ returnTo })}`)
        const begun = yield* Effect.forEach(wanted, (returnTo) => browser.fetch(login(returnTo)), {
          concurrency: "unbounded"
        })
        for (const [index, { location }] of begun.entries()) {
          assert.isDefined(location)
          const answer = yield* browser.visit(location, {
            until: ({ pathname }) => pathname.startsWith("/tab-")
          })
          assert.strictEqual(answer.location?.pathname, wanted[index], answer.body)
        }
        assert.strictEqual((yield* app.me(browser)).status, 200)
        assert.strictEqual(yield* app.sessions.count, 1)
      })
    )
  }

  it.live("the same callback twice at once gives one session for one token request", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser)
      const answers = yield* Effect.all([browser.fetch(callback), browser.fetch(callback)], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(answers.map(({ status }) => status).sort(), [302, 400])
      assert.strictEqual(app.provider.to("/token").length, 1)
      assert.strictEqual(yield* app.sessions.count, 1)
      assert.strictEqual((yield* app.me(browser)).status, 200)
    })
  )

  it.live("a callback that sign-out overtakes does not sign in", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const callback = yield* app.toCallback(browser)
      let release = () => {}
      const released = new Promise<void>((resolve) => (release = resolve))
      let reached = () => {}
      const arrived = new Promise<void>((resolve) => (reached = resolve))
      app.provider.behave.token = async (honest) => {
        reached()
        await released
        return json(honest)
      }
      const [answer] = yield* Effect.all(
        [
          browser.fetch(callback),
          Effect.gen(function* () {
            yield* Effect.promise(() => arrived)
            assert.strictEqual((yield* app.post(browser, "/api/auth/logout")).status, 200)
            release()
          })
        ],
        { concurrency: "unbounded" }
      )
      assertPage(answer, 400, "You have signed out")
      assert.strictEqual(yield* app.sessions.count, 0)
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )

  it.live("sign-out drops the sign-ins under way in that browser", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const callback = yield* app.toCallback(browser)
      const cookies = [...browser.cookies]
      yield* app.post(browser, "/api/auth/logout")
      browser.cookies.push(...cookies)
      assertPage(yield* browser.fetch(callback), 400, "This sign-in has expired")
      assert.strictEqual(app.provider.to("/token").length, 1)
    })
  )

  it.effect(
    "a sign-in that takes ten minutes has expired, and leads where it was to lead when begun again",
    () =>
      Effect.gen(function* () {
        const began = Date.now()
        yield* TestClock.setTime(began)
        const app = yield* start()
        const browser = new Browser()
        const callback = yield* app.toCallback(browser, "/far?away=1")
        yield* TestClock.adjust("10 minutes")
        const page = yield* browser.fetch(callback)
        assertPage(page, 400, "This sign-in has expired")
        assert.include(page.body, 'href="/api/auth/login?returnTo=%2Ffar%3Faway%3D1"')
        assert.strictEqual(app.provider.to("/token").length, 0)
      })
  )
})

describe("fixation", () => {
  it.live("an anonymous cookie that was planted opens nothing after the victim signed in", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const [attacker, victim] = [new Browser(), new Browser()]
      yield* attacker.fetch(app.at("/api/auth/login"))
      const planted = attacker.cookie("session") ?? ""
      victim.plant("localhost", "session", planted)
      assertLanded(yield* app.signIn(victim), "/home")
      assert.notStrictEqual(victim.cookie("session"), planted)
      assert.strictEqual((yield* app.me(victim)).status, 200)
      assert.strictEqual((yield* app.me(attacker)).status, 401)
    })
  )

  it.live("a cookie that nothing is known of is replaced as soon as a sign-in begins", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const attacker = yield* signedInBrowser(app)
      const planted = attacker.cookie("session") ?? ""
      yield* app.post(attacker, "/api/auth/logout")
      const victim = new Browser()
      victim.plant("localhost", "session", planted)
      yield* victim.fetch(app.at("/api/auth/login"))
      assert.notStrictEqual(victim.cookie("session"), planted)
    })
  )

  it.live(
    "a signed-in cookie that was planted is dead once the victim signs in, and nothing is carried over",
    () =>
      Effect.gen(function* () {
        const app = yield* start()
        app.provider.behave.subject = "mallory"
        const attacker = yield* signedInBrowser(app)
        const left = yield* app.toCallback(attacker, "/mallorys")
        app.provider.behave.subject = "alice"
        const victim = new Browser()
        victim.plant("localhost", "session", attacker.cookie("session") ?? "")
        assertLanded(yield* app.signIn(victim), "/home")
        assert.strictEqual(JSON.parse((yield* app.me(victim)).body).user.subject, "alice")
        assert.strictEqual((yield* app.me(attacker)).status, 401)
        // Mallory's own pending sign-in would make alice mallory.
        const home = yield* victim.fetch(left)
        assert.strictEqual(home.location?.pathname, "/")
        assert.strictEqual(JSON.parse((yield* app.me(victim)).body).user.subject, "alice")
      })
  )

  it.live("signing in again replaces the cookie, and the old one is dead at once", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const old = new Browser()
      old.plant("localhost", "session", browser.cookie("session") ?? "")
      assertLanded(yield* app.signIn(browser), "/home")
      assert.strictEqual((yield* app.me(old)).status, 401)
      assert.strictEqual((yield* app.me(browser)).status, 200)
      assert.strictEqual(yield* app.sessions.count, 1)
    })
  )
})
