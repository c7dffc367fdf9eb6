import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { assertLanded, assertPage, signedInBrowser, start } from "@edge-relay/testkit/auth/Hostile"
import { json, type Reply } from "@edge-relay/testkit/auth/HostileProvider"

const changed = (url: URL, change: (parameters: URLSearchParams) => void) => {
  const copy = new URL(url)
  change(copy.searchParams)
  return copy
}

describe("the state of a callback", () => {
  const refused = (name: string, change: (parameters: URLSearchParams) => void) =>
    it.live(`${name} is refused without a token request`, () =>
      Effect.gen(function* () {
        const app = yield* start()
        const browser = new Browser()
        const callback = yield* app.toCallback(browser)
        const answer = yield* browser.fetch(changed(callback, change))
        assertPage(answer, 400, "This sign-in has expired")
        assert.strictEqual(app.provider.to("/token").length, 0)
        assert.strictEqual((yield* app.me(browser)).status, 401)
      })
    )

  refused("that is missing", (parameters) => parameters.delete("state"))
  refused("that is empty", (parameters) => parameters.set("state", ""))
  refused("that is wrong", (parameters) => parameters.set("state", "A".repeat(43)))
  refused("that is another one's but for its last character", (parameters) => {
    const state = parameters.get("state") ?? ""
    parameters.set("state", state.slice(0, -1) + (state.endsWith("A") ? "B" : "A"))
  })
  refused("that is doubled", (parameters) => parameters.append("state", parameters.get("state") ?? ""))
  refused("that is there with another", (parameters) => parameters.append("state", "another"))
  refused("of 60 KiB cut to what fits", (parameters) => parameters.set("state", "A".repeat(8_000)))
  refused("with SQL in it", (parameters) => parameters.set("state", "' OR '1'='1"))
  refused("with line ends in it", (parameters) => parameters.set("state", "a\r\nset-cookie: session=1"))

  it.live("that was used already is refused, and leads a signed-in tab home", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser)
      const [anonymous] = browser.cookies
      assert.strictEqual((yield* browser.fetch(callback)).location?.pathname, "/home")
      const again = yield* browser.fetch(callback)
      assert.strictEqual(again.status, 302)
      assert.strictEqual(again.location?.pathname, "/home")
      const thief = new Browser()
      thief.plant("localhost", "session", anonymous?.value ?? "")
      assertPage(yield* thief.fetch(callback), 400, "This sign-in has expired")
      assert.strictEqual(app.provider.to("/token").length, 1)
    })
  )

  it.live("of another browser is refused, and stays good in its own", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const [mine, other] = [new Browser(), new Browser()]
      const callback = yield* app.toCallback(mine)
      yield* app.toCallback(other)
      // It begins its own: whose code this is, nobody knows.
      const sent = (yield* other.fetch(callback)).location
      assert.strictEqual(`${sent?.pathname}${sent?.search}`, "/api/auth/login?returnTo=%2Fhome")
      assert.strictEqual((yield* app.me(other)).status, 401)
      assertPage(yield* new Browser().fetch(callback), 400, "Your browser did not send our cookie")
      assert.strictEqual(app.provider.to("/token").length, 0)
      assert.strictEqual((yield* mine.fetch(callback)).location?.pathname, "/home")
    })
  )

  it.live("is needed for an error, too", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      yield* app.toCallback(browser)
      const answer = yield* browser.fetch(app.at("/api/auth/callback?error=access_denied&state=wrong"))
      assertPage(answer, 400, "This sign-in has expired")
    })
  )
})

describe("an error of the provider", () => {
  const denied = (parameters: URLSearchParams) => {
    parameters.delete("code")
    parameters.set("error", "access_denied")
    parameters.set("error_description", "<script>alert(1)</script>")
  }

  it.live("is a page that says what happened, and offers to try again where one wanted to go", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser, "/edges?a=b")
      const answer = yield* browser.fetch(changed(callback, denied))
      assertPage(answer, 400, "You are not signed in")
      assert.include(answer.body, 'href="/api/auth/login?returnTo=%2Fedges%3Fa%3Db"')
      assert.notInclude(answer.body, "alert(1)")
    })
  )

  it.live("is a problem for a program", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser)
      const answer = yield* browser.fetch(changed(callback, denied), {
        headers: { accept: "application/json" }
      })
      assert.strictEqual(answer.status, 400)
      assert.strictEqual(answer.headers["content-type"], "application/problem+json")
      const { code, status } = JSON.parse(answer.body)
      assert.deepStrictEqual({ code, status }, { code: "sign_in_failed", status: 400 })
    })
  )

  it.live("that will pass is 503 with Retry-After", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser)
      const answer = yield* browser.fetch(
        changed(callback, (parameters) => {
          parameters.delete("code")
          parameters.set("error", "temporarily_unavailable")
        })
      )
      assertPage(answer, 503, "The identity provider does not answer")
      assert.match(String(answer.headers["retry-after"]), /^\d+$/)
    })
  )

  it.live("with line ends in its code is neither logged nor shown as it is", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser)
      const answer = yield* browser.fetch(
        changed(callback, (parameters) => parameters.set("error", "a\r\nset-cookie: b=c"))
      )
      assertPage(answer, 400, "The identity provider refused")
      assert.notInclude(app.logs.join("\n"), "set-cookie")
      assert.strictEqual(answer.setCookies.length, 0)
    })
  )
})

describe("the issuer of a callback (RFC 9207)", () => {
  const refused = (name: string, change: (parameters: URLSearchParams) => void) =>
    it.live(`${name} is refused without a token request`, () =>
      Effect.gen(function* () {
        const app = yield* start()
        const browser = new Browser()
        const callback = yield* app.toCallback(browser)
        assertPage(yield* browser.fetch(changed(callback, change)), 400, "The sign-in could not be verified")
        assert.strictEqual(app.provider.to("/token").length, 0)
      })
    )
  refused("that is another", (parameters) => parameters.set("iss", "https://other.example"))
  refused("that is missing where the provider announced it", (parameters) => parameters.delete("iss"))
  refused("that is doubled", (parameters) => parameters.append("iss", "https://other.example"))
})

describe("the code of a callback", () => {
  it.live("that was used already is refused", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const [first, second] = [new Browser(), new Browser()]
      const used = yield* app.toCallback(first)
      yield* first.fetch(used)
      const callback = yield* app.toCallback(second)
      const replayed = changed(callback, (parameters) =>
        parameters.set("code", used.searchParams.get("code") ?? "")
      )
      assertPage(yield* second.fetch(replayed), 400, "The identity provider refused")
      assert.strictEqual((yield* app.me(second)).status, 401)
    })
  )

  it.live("of another attempt is refused, also where the provider checks neither code nor PKCE", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.checksCodes = false
      const [attacker, victim] = [new Browser(), new Browser()]
      const stolen = yield* app.toCallback(attacker)
      const callback = yield* app.toCallback(victim)
      const injected = changed(callback, (parameters) =>
        parameters.set("code", stolen.searchParams.get("code") ?? "")
      )
      // The nonce in the ID token is the other attempt's.
      assertPage(yield* victim.fetch(injected), 400, "The sign-in could not be verified")
      assert.strictEqual((yield* app.me(victim)).status, 401)
    })
  )

  it.live("that is missing or doubled is refused without a token request", () =>
    Effect.gen(function* () {
      const app = yield* start()
      for (const change of [
        (parameters: URLSearchParams) => parameters.delete("code"),
        (parameters: URLSearchParams) => parameters.append("code", "another")
      ]) {
        const browser = new Browser()
        const callback = yield* app.toCallback(browser)
        assertPage(yield* browser.fetch(changed(callback, change)), 400, "The sign-in could not be verified")
      }
      assert.strictEqual(app.provider.to("/token").length, 0)
    })
  )
})

describe("a token endpoint", () => {
  const broken = (name: string, reply: Reply, status = 503) =>
    it.live(`that ${name} gives no session, and the sign-in is over`, () =>
      Effect.gen(function* () {
        const app = yield* start({ timeoutSeconds: 1 })
        app.provider.behave.token = () => reply
        const browser = new Browser()
        const callback = yield* app.toCallback(browser)
        const answer = yield* browser.fetch(callback)
        assert.strictEqual(answer.status, status, answer.body)
        assert.match(String(answer.headers["content-type"]), /^text\/html/)
        assert.strictEqual((yield* app.me(browser)).status, 401)
        app.provider.behave.token = (honest) => json(honest)
        assertPage(yield* browser.fetch(callback), 400, "This sign-in has expired")
        assertLanded(yield* app.signIn(browser), "/home")
      })
    )

  const html = { "content-type": "text/html" }
  broken("answers 500", { status: 500, headers: {}, body: "" })
  broken("answers an HTML page", { status: 200, headers: html, body: "<h1>welcome</h1>" })
  broken("redirects", { status: 302, headers: { location: "https://elsewhere.example/token" }, body: "" })
  broken("answers nothing", "hang")
  broken("breaks the connection off", "reset")
  broken(
    "answers half of its JSON",
    { status: 200, headers: { "content-type": "application/json" }, body: '{"acc' },
    400
  )
  broken("answers without a token", json({}), 400)
  broken(
    "answers a token of another type",
    json({ access_token: "a", token_type: "mac", id_token: "b" }),
    400
  )
  broken("says that it is down", json({ error: "server_error" }, 400))
  broken("refuses the client", json({ error: "invalid_client" }, 401), 400)
  broken("sends two megabytes", {
    status: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ padding: "a".repeat(2_000_000) })
  })
})

describe("the link to try again", () => {
  const again = 'href="/api/auth/login?returnTo=%2Fwanted"'

  it.live("keeps where the person wanted to go when the provider fails, at either end", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser, "/wanted")
      app.provider.behave.token = () => "reset"
      const failed = yield* browser.fetch(callback)
      assertPage(failed, 503, "The identity provider does not answer")
      assert.include(failed.body, again)
      const used = yield* browser.fetch(callback)
      assertPage(used, 400, "This sign-in has expired")
      assert.include(used.body, again)
      const down = yield* start()
      down.provider.behave.discovery = () => "reset"
      const login = yield* browser.fetch(down.at("/api/auth/login?returnTo=/wanted"))
      assertPage(login, 503, "The identity provider does not answer")
      assert.include(login.body, again)
    })
  )

  it.live("keeps it where the browser sent no cookie, and says that", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const callback = yield* app.toCallback(new Browser(), "/wanted")
      const page = yield* new Browser().fetch(callback)
      assertPage(page, 400, "Your browser did not send our cookie")
      assert.include(page.body, again)
    })
  )
})

describe("HEAD", () => {
  it.live("of a callback signs nobody in, and of the login begins nothing", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser)
      for (const url of [callback, app.at("/api/auth/login")]) {
        const answer = yield* browser.fetch(url, { method: "HEAD" })
        assert.strictEqual(answer.status, 405)
        assert.strictEqual(answer.headers["allow"], "GET")
        assert.deepStrictEqual(answer.setCookies, [])
      }
      assert.strictEqual(app.provider.to("/token").length, 0)
      assertLanded(yield* browser.fetch(callback), "/home")
    })
  )
})

describe("cookies of neighbours", () => {
  it.live("of 60 KB on the same host hinder no sign-in", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      for (let index = 0; index < 15; index++) browser.plant("localhost", `other-${index}`, "x".repeat(4000))
      assertLanded(yield* app.signIn(browser), "/home")
    })
  )
})

describe("a token answer", () => {
  it.live("whose members are null has them not", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.token = (answer) =>
        json({ ...answer, scope: null, refresh_token: null, expires_in: null, error: null })
      const browser = yield* signedInBrowser(app)
      assert.strictEqual((yield* app.me(browser)).status, 200)
    })
  )
})

describe("userinfo", () => {
  it.live("of another subject is refused", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.userinfo = (claims) => json({ ...claims, sub: "bob" })
      const browser = new Browser()
      assertPage(yield* app.signIn(browser), 400, "The sign-in could not be verified")
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )

  it.live("without a subject is refused", () =>
    Effect.gen(function* () {
      const app = yield* start({ tenantClaim: "org" })
      app.provider.behave.userinfo = () => json({ name: "A", org: "acme" })
      const browser = new Browser()
      assert.strictEqual((yield* app.signIn(browser)).status, 400)
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )

  const signedJwt = { "content-type": "application/jwt" }
  for (const [what, reply] of [
    ["401", { status: 401, headers: {}, body: "" }],
    ["404", { status: 404, headers: {}, body: "" }],
    ["500", { status: 500, headers: {}, body: "" }],
    ["an error of RFC 6750", { status: 401, headers: { "www-authenticate": "Bearer" }, body: "" }],
    ["no JSON", { status: 200, headers: { "content-type": "text/html" }, body: "<p>" }],
    ["a JWT of an algorithm that nobody announced", { status: 200, headers: signedJwt, body: "e30.e30.e30" }],
    ["nothing at all", "reset"]
  ] as const) {
    it.live(`that answers ${what} is done without, where the ID token has what is needed`, () =>
      Effect.gen(function* () {
        const app = yield* start({ tenantClaim: "org" })
        app.provider.behave.userinfo = () => reply
        app.provider.behave.claims = (claims) => ({ ...claims, org: "acme", name: "Alice" })
        const browser = yield* signedInBrowser(app)
        assert.strictEqual(app.provider.to("/userinfo").length, 1)
        const { email, name } = JSON.parse((yield* app.me(browser)).body).user
        assert.deepStrictEqual({ email, name }, { email: null, name: "Alice" })
      })
    )
  }

  it.live("that cannot be had is 503 where only it can name the tenant", () =>
    Effect.gen(function* () {
      const app = yield* start({ tenantClaim: "org" })
      app.provider.behave.userinfo = () => ({ status: 500, headers: {}, body: "" })
      assertPage(yield* app.signIn(new Browser()), 503, "The identity provider does not answer")
    })
  )

  it.live("fills in what the ID token has as null", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.claims = (claims) => ({ ...claims, name: null, email: null })
      const browser = yield* signedInBrowser(app)
      const { email, name } = JSON.parse((yield* app.me(browser)).body).user
      assert.deepStrictEqual({ email, name }, { email: "a@b.example", name: "Name of alice" })
    })
  )

  it.live("is not asked where the ID token says it all", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.claims = (claims) => ({ ...claims, name: "Alice", email: "alice@example.com" })
      const browser = yield* signedInBrowser(app)
      assert.strictEqual(app.provider.to("/userinfo").length, 0)
      assert.strictEqual(JSON.parse((yield* app.me(browser)).body).user.name, "Alice")
    })
  )

  it.live("that is no text, is endless, or holds line ends, is not kept", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.userinfo = ({ sub }) =>
        json({ sub, name: "a\r\nb", email: "e".repeat(300), picture: "javascript:alert(1)" })
      const browser = yield* signedInBrowser(app)
      const { email, name, picture } = JSON.parse((yield* app.me(browser)).body).user
      assert.deepStrictEqual({ email, name, picture }, { email: null, name: null, picture: null })
    })
  )
})

describe("the provider's metadata", () => {
  it.live("of another issuer are not used", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.metadata = (metadata) => ({ ...metadata, issuer: "https://other.example" })
      assertPage(yield* new Browser().fetch(app.at("/api/auth/login")), 503, "Signing in is not set up right")
    })
  )

  it.live("of a provider that is down: 503 with Retry-After, and it heals without a restart", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.discovery = () => "reset"
      const browser = new Browser()
      const down = yield* browser.fetch(app.at("/api/auth/login"))
      assertPage(down, 503, "The identity provider does not answer")
      const seconds = Number(down.headers["retry-after"])
      assert.isAtLeast(seconds, 1)
      const program = yield* browser.fetch(app.at("/api/auth/login"), {
        headers: { accept: "application/json" }
      })
      assert.strictEqual(JSON.parse(program.body).code, "provider_unavailable")
      assert.match(String(program.headers["retry-after"]), /^\d+$/)
      app.provider.behave.discovery = (metadata) => json(metadata)
      yield* Effect.sleep(seconds * 1000)
      assertLanded(yield* app.signIn(browser), "/home")
    })
  )

  it.live("are asked for once by a hundred who wait", () =>
    Effect.gen(function* () {
      const app = yield* start({ perMinute: { begin: 1000 } })
      const all = yield* Effect.all(
        Array.from({ length: 100 }, () => new Browser().fetch(app.at("/api/auth/login"))),
        { concurrency: "unbounded" }
      )
      assert.isTrue(all.every(({ status }) => status === 302))
      assert.strictEqual(app.provider.to("/.well-known/openid-configuration").length, 1)
    })
  )

  it.live("are not asked for again and again while the provider is down", () =>
    Effect.gen(function* () {
      const app = yield* start({ perMinute: { begin: 1000 } })
      app.provider.behave.discovery = () => ({ status: 500, headers: {}, body: "" })
      for (let index = 0; index < 50; index++) yield* new Browser().fetch(app.at("/api/auth/login"))
      assert.isAtMost(app.provider.to("/.well-known/openid-configuration").length, 3)
    })
  )
})
