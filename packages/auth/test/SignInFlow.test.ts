import { assert, describe, it } from "@effect/vitest"
import { SignInSessions } from "@edge-relay/domain/SignInSessions"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Effect, Layer, Metric, Option } from "effect"
import { TestClock } from "effect/testing"
import { type Answer, Browser } from "./harness/Browser.ts"
import { assertLanded, assertPage, signedInBrowser, start } from "./harness/Hostile.ts"
import { json } from "./harness/HostileProvider.ts"
import { newKey } from "./harness/TestServer.ts"

const authorization = (answer: Answer) => answer.location ?? new URL("about:blank")

describe("the authorization request", () => {
  it.live("has code, PKCE S256, state and nonce of 256 bits, fresh for each attempt", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const urls = [
        authorization(yield* browser.fetch(app.at("/api/auth/login"))),
        authorization(yield* browser.fetch(app.at("/api/auth/login")))
      ]
      for (const { origin, pathname, searchParams } of urls) {
        assert.strictEqual(origin + pathname, `${app.provider.issuer}/authorize`)
        assert.strictEqual(searchParams.get("response_type"), "code")
        assert.strictEqual(searchParams.get("client_id"), "edge-relay")
        assert.strictEqual(searchParams.get("scope"), "openid profile email")
        assert.strictEqual(searchParams.get("code_challenge_method"), "S256")
        assert.strictEqual(searchParams.get("redirect_uri"), app.at("/api/auth/callback").href)
        for (const name of ["state", "nonce", "code_challenge"]) {
          assert.match(searchParams.get(name) ?? "", /^[\w-]{43}$/)
        }
      }
      for (const name of ["state", "nonce", "code_challenge"]) {
        assert.notStrictEqual(urls[0]?.searchParams.get(name), urls[1]?.searchParams.get(name))
      }
    })
  )

  it.live("names PUBLIC_URL whatever Host and X-Forwarded-Host say", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const answer = yield* new Browser().fetch(app.at("/api/auth/login?returnTo=/x"), {
        headers: {
          host: "evil.example",
          "x-forwarded-host": "evil.example",
          "x-forwarded-proto": "https",
          forwarded: "host=evil.example"
        }
      })
      assert.strictEqual(
        authorization(answer).searchParams.get("redirect_uri"),
        app.at("/api/auth/callback").href
      )
      assert.notInclude(JSON.stringify(answer), '"location":"https://evil')
    })
  )
})

describe("the token request", () => {
  const tokenRequest = Effect.fnUntraced(function* (options: { readonly clientSecret?: string }) {
    const app = yield* start(options)
    yield* signedInBrowser(app)
    const [request] = app.provider.to("/token")
    assert.isDefined(request)
    return request
  })

  for (const [name, options] of [
    ["without a secret", {}],
    ["with an empty secret", { clientSecret: "" }]
  ] as const) {
    it.live(`of a client ${name} has its id, the code verifier, and no secret anywhere`, () =>
      Effect.gen(function* () {
        const { form, headers } = yield* tokenRequest(options)
        assert.strictEqual(form.get("client_id"), "edge-relay")
        assert.match(form.get("code_verifier") ?? "", /^[\w-]{43}$/)
        assert.strictEqual(form.get("grant_type"), "authorization_code")
        assert.isFalse(form.has("client_secret"))
        assert.isUndefined(headers["authorization"])
      })
    )
  }

  it.live("of a client with a secret has it in the body, never as Basic", () =>
    Effect.gen(function* () {
      const { form, headers } = yield* tokenRequest({ clientSecret: "development-secret" })
      assert.strictEqual(form.get("client_id"), "edge-relay")
      assert.strictEqual(form.get("client_secret"), "development-secret")
      assert.match(form.get("code_verifier") ?? "", /^[\w-]{43}$/)
      assert.isUndefined(headers["authorization"])
    })
  )
})

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

  it.live("of which an eighth begins: the oldest is dropped", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const tabs = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7], (tab) =>
        app.toCallback(browser, `/tab-${tab}`)
      )
      const [first, second] = tabs
      assert.isDefined(first)
      assert.isDefined(second)
      assertPage(yield* browser.fetch(first), 400, "This sign-in has expired")
      assert.strictEqual((yield* browser.fetch(second)).location?.pathname, "/tab-1")
    })
  )

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

  it.effect("a sign-in that takes ten minutes has expired", () =>
    Effect.gen(function* () {
      const began = Date.now()
      yield* TestClock.setTime(began)
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser)
      yield* TestClock.adjust("10 minutes")
      assertPage(yield* browser.fetch(callback), 400, "This sign-in has expired")
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

describe("who somebody is", () => {
  const meOf = Effect.fnUntraced(function* (app: Effect.Success<ReturnType<typeof start>>, subject: string) {
    app.provider.behave.subject = subject
    const browser = yield* signedInBrowser(app)
    return JSON.parse((yield* app.me(browser)).body)
  })

  it.live("is issuer and subject, both", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* start(), yield* start()]
      const alice = yield* meOf(one, "alice")
      assert.strictEqual((yield* meOf(one, "alice")).user.id, alice.user.id)
      assert.notStrictEqual((yield* meOf(one, "bob")).user.id, alice.user.id)
      const elsewhere = yield* meOf(other, "alice")
      assert.notStrictEqual(elsewhere.user.id, alice.user.id)
      assert.notStrictEqual(elsewhere.tenant.id, alice.tenant.id)
    })
  )

  it.live("is a tenant alone where no claim names one", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const [alice, bob] = [yield* meOf(app, "alice"), yield* meOf(app, "bob")]
      assert.notStrictEqual(alice.tenant.id, bob.tenant.id)
    })
  )

  it.live("belongs to the tenant that the claim names", () =>
    Effect.gen(function* () {
      const app = yield* start({ tenantClaim: "org" })
      app.provider.behave.userinfo = (claims) => json({ ...claims, org: "acme" })
      const [alice, bob] = [yield* meOf(app, "alice"), yield* meOf(app, "bob")]
      assert.strictEqual(alice.tenant.id, bob.tenant.id)
      assert.notStrictEqual(alice.user.id, bob.user.id)
      app.provider.behave.userinfo = (claims) => json({ ...claims, org: "other" })
      assert.notStrictEqual((yield* meOf(app, "alice")).tenant.id, alice.tenant.id)
    })
  )

  for (const [name, org] of [
    ["lacks the claim", undefined],
    ["has an empty one", ""],
    ["has one that is no text", ["acme"]]
  ] as const) {
    it.live(`is refused where it ${name}: nobody is put into a tenant by default`, () =>
      Effect.gen(function* () {
        const app = yield* start({ tenantClaim: "org" })
        app.provider.behave.userinfo = (claims) => json({ ...claims, org })
        const browser = new Browser()
        assertPage(yield* app.signIn(browser), 400, "Your account belongs to no organisation")
        assert.strictEqual((yield* app.me(browser)).status, 401)
      })
    )
  }
})

describe("limits and records", () => {
  it.live("sign-in starts are limited by address, with Retry-After", () =>
    Effect.gen(function* () {
      const app = yield* start({ perMinute: { begin: 3 } })
      for (let index = 0; index < 3; index++) {
        assert.strictEqual((yield* new Browser().fetch(app.at("/api/auth/login"))).status, 302)
      }
      const answer = yield* new Browser().fetch(app.at("/api/auth/login"))
      assertPage(answer, 429, "Too many sign-ins")
      assert.match(String(answer.headers["retry-after"]), /^\d+$/)
      const program = yield* new Browser().fetch(app.at("/api/auth/login"), { headers: { accept: "*/*" } })
      assert.strictEqual(JSON.parse(program.body).code, "too_many_requests")
    })
  )

  it.live("callbacks are limited by address", () =>
    Effect.gen(function* () {
      const app = yield* start({ perMinute: { callback: 2 } })
      const codes = yield* Effect.forEach([1, 2, 3], () =>
        Effect.map(new Browser().fetch(app.at("/api/auth/callback?state=x")), ({ status }) => status)
      )
      assert.deepStrictEqual(codes, [400, 400, 429])
    })
  )

  it.live("each sign-in, failure and end is in the audit log, with address and request id", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser)
      yield* browser.fetch(callback, { headers: { "x-request-id": "request-1" } })
      const { tenant, user } = JSON.parse((yield* app.me(browser)).body)
      yield* app.post(browser, "/api/auth/logout")
      const { items } = yield* app.audit.list(tenant.id, { limit: 10 })
      assert.deepStrictEqual(
        items.map(({ action, actor, address, outcome }) => ({ action, actor, address, outcome })),
        [
          { action: "sign_in.ended", actor: user.id, address: "127.0.0.1", outcome: "success" },
          { action: "sign_in.done", actor: user.id, address: "127.0.0.1", outcome: "success" }
        ]
      )
      assert.strictEqual(items[1]?.requestId, "request-1")
    })
  )

  it.live("sign-ins are counted, failures by their cause", () =>
    Effect.gen(function* () {
      const app = yield* start()
      yield* signedInBrowser(app)
      yield* new Browser().fetch(app.at("/api/auth/callback?state=x"))
      const metrics = yield* Metric.snapshot
      const has = (id: string, cause?: string) =>
        metrics.some(
          (metric) => metric.id === id && (cause === undefined || metric.attributes?.["cause"] === cause)
        )
      assert.isTrue(has("sign_ins_begun_total"))
      assert.isTrue(has("sign_ins_done_total"))
      assert.isTrue(has("sign_ins_failed_total", "unknown"))
      assert.isTrue(has("sign_in_sessions"))
    })
  )

  it.live("a database that is away is 503 with Retry-After, for people and programs, and never 401", () =>
    Effect.gen(function* () {
      const away = new StorageUnavailable({ operation: "test", cause: "away" })
      const broken = new Proxy({} as SignInSessions["Service"], {
        get: (_target, name) =>
          name === "count" ? Effect.fail(away) : name === "peek" ? () => undefined : () => Effect.fail(away)
      })
      const sessionKeys = [newKey()]
      const healthy = yield* start({ sessionKeys })
      const browser = yield* signedInBrowser(healthy)
      const app = yield* start({ sessions: Layer.succeed(SignInSessions, broken), sessionKeys })
      const person = yield* browser.fetch(app.at("/api/auth/login"))
      assertPage(person, 503, "Signing in is not possible right now")
      const me = yield* app.me(browser)
      const program = yield* browser.fetch(app.at("/api/auth/callback?state=x"), {
        headers: { accept: "*/*" }
      })
      for (const { body, status } of [me, program]) {
        assert.strictEqual(status, 503)
        assert.strictEqual(JSON.parse(body).code, "storage_unavailable")
      }
      assert.match(String(program.headers["retry-after"]), /^\d+$/)
    })
  )

  it.live("no log line and no audit entry holds a secret", () =>
    Effect.gen(function* () {
      const app = yield* start({ clientSecret: "the-client-secret" })
      const browser = new Browser()
      const secrets = ["the-client-secret"]
      const login = yield* browser.fetch(app.at("/api/auth/login"))
      secrets.push(browser.cookie("session") ?? "")
      const callback = yield* browser.visit(authorization(login), {
        until: ({ pathname }) => pathname === "/api/auth/callback"
      })
      app.provider.behave.token = (answer) => {
        secrets.push(...["access_token", "refresh_token", "id_token"].map((name) => String(answer[name])))
        return json(answer)
      }
      yield* browser.fetch(callback.location ?? "")
      for (const parameter of ["code", "state"])
        secrets.push(callback.location?.searchParams.get(parameter) ?? "")
      secrets.push(
        browser.cookie("session") ?? "",
        app.provider.to("/token")[0]?.form.get("code_verifier") ?? ""
      )
      // A failure has more to say than a success.
      yield* browser.fetch(callback.location ?? "")
      const failing = yield* app.toCallback(browser)
      app.provider.behave.token = () => ({ status: 500, headers: {}, body: "" })
      yield* browser.fetch(failing)
      secrets.push(failing.searchParams.get("code") ?? "", failing.searchParams.get("state") ?? "")
      const { tenant } = JSON.parse((yield* app.me(browser)).body)
      const written = app.logs.join("\n") + JSON.stringify(yield* app.audit.list(tenant.id, { limit: 100 }))
      assert.isAbove(app.logs.length, 0)
      assert.isAtLeast(secrets.length, 10)
      for (const secret of secrets) {
        assert.isAbove(secret.length, 8)
        assert.notInclude(written, secret)
      }
    })
  )

  it.live(
    "answers of sign-in are not stored, tell nobody where they came from, and allow no other origin",
    () =>
      Effect.gen(function* () {
        const app = yield* start()
        const browser = new Browser()
        const callback = yield* app.toCallback(browser)
        const origin = { origin: "https://evil.example" }
        const answers = [
          yield* browser.fetch(app.at("/api/auth/login"), { headers: origin }),
          yield* browser.fetch(callback, { headers: origin })
        ]
        for (const { headers } of answers) {
          assert.strictEqual(headers["cache-control"], "no-store")
          assert.strictEqual(headers["referrer-policy"], "no-referrer")
          assert.isUndefined(headers["access-control-allow-origin"])
        }
        assert.isTrue(Option.isSome(yield* app.check.find(`session=${browser.cookie("session")}`)))
      })
  )
})
