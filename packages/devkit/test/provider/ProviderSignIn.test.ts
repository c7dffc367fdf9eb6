import { assert, describe, it, vi } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Answer, Browser } from "@edge-relay/testkit/auth/Browser"
import { eventually } from "@edge-relay/testkit/auth/eventually"
import { assertPage } from "@edge-relay/testkit/auth/Hostile"
import { listening, serve, type TestServerOptions } from "@edge-relay/testkit/auth/TestServer"
import { ProviderServer } from "../../src/provider/ProviderServer.ts"

/** The sign-in against the embedded provider, over real HTTP, driven through its pages. */
const start = Effect.fnUntraced(function* (
  options: Partial<TestServerOptions> & { readonly accessTokenSeconds?: number } = {}
) {
  const socket = yield* listening
  const provider = yield* Layer.build(
    ProviderServer.layer({
      publicUrl: socket.origin,
      port: 0,
      ...(options.accessTokenSeconds === undefined ? {} : { accessTokenSeconds: options.accessTokenSeconds })
    })
  ).pipe(Effect.map((context) => Context.get(context, ProviderServer)))
  const server = yield* serve(socket, { issuer: provider.issuer, tenantClaim: "tenant", ...options })
  const at = (path: string) => new URL(path, server.publicUrl)
  const home = (url: URL) => url.origin === server.publicUrl.origin && !url.pathname.startsWith("/api/")

  const loginPage = (browser: Browser, returnTo = "/home") =>
    browser.visit(at(`/api/auth/login?${new URLSearchParams({ returnTo }).toString()}`), { until: home })
  const signIn = Effect.fnUntraced(function* (browser: Browser, login: string, returnTo = "/home") {
    const page = yield* loginPage(browser, returnTo)
    return yield* browser.submit(page, "/login", { login, password: "any" }, { until: home })
  })
  const me = (browser: Browser) => browser.fetch(at("/api/auth/me"))
  return { ...server, provider, at, home, loginPage, signIn, me }
})

const landed = (answer: Answer, path: string) => {
  assert.strictEqual(answer.status, 302, answer.body)
  assert.strictEqual(answer.location?.pathname, path)
}

describe("sign-in at the embedded provider", () => {
  it.live("signs alice in by its page, and lands where she began", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      landed(yield* app.signIn(browser, "alice", "/edges?q=1"), "/edges")
      const { tenant, user } = JSON.parse((yield* app.me(browser)).body)
      assert.strictEqual(user.subject, "alice")
      assert.strictEqual(user.name, "Alice Ackermann")
      assert.strictEqual(user.email, "alice@example.com")
      assert.match(user.id, /^user_/)
      assert.match(tenant.id, /^tenant_/)
    })
  )

  it.live("gives alice and bob tenants of their own, the same at every sign-in", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const tenantOf = Effect.fnUntraced(function* (user: string) {
        const browser = new Browser()
        yield* app.signIn(browser, user)
        return JSON.parse((yield* app.me(browser)).body).tenant.id
      })
      const alice = yield* tenantOf("alice")
      assert.notStrictEqual(yield* tenantOf("bob"), alice)
      assert.strictEqual(yield* tenantOf("alice"), alice)
    })
  )

  it.live("shows a page with alice and bob, without script and under a strict policy", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const page = yield* app.loginPage(new Browser())
      assert.strictEqual(page.status, 200)
      assert.include(page.body, "Alice Ackermann")
      assert.include(page.body, "Bob Baumann")
      assert.notInclude(page.body, "<script")
      const policy = String(page.headers["content-security-policy"])
      assert.match(policy, /^default-src 'none'; style-src 'sha256-/)
      // Browsers hold form-action against redirects, too: the form ends at our callback.
      assert.include(policy, `form-action 'self' ${app.publicUrl.origin}`)
      assert.include(policy, "frame-ancestors 'none'")
    })
  )

  it.live("says so where somebody else signs in, and lets them try again", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const page = yield* app.loginPage(browser)
      const again = yield* browser.submit(page, "/login", { login: "eve" })
      assert.strictEqual(again.status, 400)
      assert.include(again.body, "nobody else")
      landed(yield* browser.submit(again, "/login", { login: "bob" }, { until: app.home }), "/home")
    })
  )

  it.live("that is cancelled is a page that says so", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const page = yield* app.loginPage(browser)
      assertPage(yield* browser.submit(page, "/cancel", {}), 400, "You are not signed in")
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )

  it.live("works for a confidential client", () =>
    Effect.gen(function* () {
      const app = yield* start({ clientId: "edge-relay-confidential", clientSecret: "development-secret" })
      landed(yield* app.signIn(new Browser(), "alice"), "/home")
    })
  )

  it.live("with a wrong secret is refused", () =>
    Effect.gen(function* () {
      const app = yield* start({ clientId: "edge-relay-confidential", clientSecret: "wrong" })
      assertPage(yield* app.signIn(new Browser(), "alice"), 400, "The identity provider refused")
    })
  )

  it.live("goes without a page for somebody whom the provider knows already, in every tab", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      yield* app.signIn(browser, "alice")
      for (const tab of ["/one", "/two", "/three"]) landed(yield* app.loginPage(browser, tab), tab)
      assert.strictEqual(yield* app.sessions.count, 1)
    })
  )

  it.live("five tabs begun before signing in end where they began, by one form", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const pages = yield* Effect.forEach(["/a", "/b", "/c", "/d", "/e"], (tab) =>
        app.loginPage(browser, tab)
      )
      const [first, ...rest] = pages
      assert.isDefined(first)
      landed(yield* browser.submit(first, "/login", { login: "alice" }, { until: app.home }), "/a")
      for (const [index, page] of rest.entries()) {
        const tab = ["/b", "/c", "/d", "/e"][index] ?? ""
        landed(yield* browser.submit(page, "/login", { login: "alice" }, { until: app.home }), tab)
      }
      assert.strictEqual(yield* app.sessions.count, 1)
    })
  )

  it.live("refreshes alice's tokens, which the provider hands out once each", () =>
    Effect.gen(function* () {
      const app = yield* start({ accessTokenSeconds: 1 })
      const browser = new Browser()
      yield* app.signIn(browser, "alice")
      const sealed = Effect.map(app.check.find(`session=${browser.cookie("session")}`), (found) =>
        found._tag === "Some" ? found.value.session.sealed : ""
      )
      for (let round = 0; round < 2; round++) {
        const before = yield* sealed
        yield* eventually(
          "tokens are refreshed",
          Effect.andThen(
            app.me(browser),
            Effect.map(sealed, (now) => now !== before && now !== "")
          )
        )
      }
      assert.strictEqual((yield* app.me(browser)).status, 200)
    })
  )
})

describe("the embedded provider's state", () => {
  it.live("outlives a restart in a file of its own, and with it whoever is signed in", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "edge-relay-provider-"))),
        (folder) => Effect.promise(() => rm(folder, { recursive: true }))
      )
      const stateFile = join(folder, "provider.json")
      const socket = yield* listening
      const run = Effect.fnUntraced(function* (port: number) {
        const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        const built = yield* Layer.build(
          ProviderServer.layer({ publicUrl: socket.origin, port, stateFile, accessTokenSeconds: 1 })
        ).pipe(Scope.provide(scope))
        return { provider: Context.get(built, ProviderServer), stop: Scope.close(scope, Exit.void) }
      })
      const { provider, stop } = yield* run(0)
      const app = yield* serve(socket, { issuer: provider.issuer, tenantClaim: "tenant" })
      const at = (path: string) => new URL(path, app.publicUrl)
      const home = (url: URL) => url.origin === app.publicUrl.origin && !url.pathname.startsWith("/api/")
      const browser = new Browser()
      const page = yield* browser.visit(at("/api/auth/login"), { until: home })
      yield* browser.submit(page, "/login", { login: "alice", password: "any" }, { until: home })
      const sealed = Effect.map(app.check.find(`session=${browser.cookie("session")}`), (found) =>
        found._tag === "Some" ? found.value.session.sealed : ""
      )
      const before = yield* sealed
      assert.notStrictEqual(before, "")
      yield* stop
      const { mode } = yield* Effect.promise(() => stat(stateFile))
      assert.strictEqual(mode & 0o777, 0o600)

      yield* run(provider.port)
      yield* eventually(
        "tokens are refreshed",
        Effect.andThen(
          browser.fetch(at("/api/auth/me")),
          Effect.map(sealed, (now) => now !== before && now !== "")
        )
      )
      // The browser is known there as well, and its own sign-out is understood.
      landed(yield* browser.visit(at("/api/auth/login?returnTo=/again"), { until: home }), "/again")
      const { logoutUrl } = JSON.parse(
        (yield* browser.fetch(at("/api/auth/logout"), { method: "POST" })).body
      )
      assert.include((yield* browser.visit(logoutUrl)).body, "Sign out")
    })
  )

  it.live("is begun anew where the file cannot be read", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "edge-relay-provider-"))),
        (folder) => Effect.promise(() => rm(folder, { recursive: true }))
      )
      const stateFile = join(folder, "provider.json")
      yield* Effect.promise(() => writeFile(stateFile, '{"keys":'))
      const built = yield* Layer.build(
        ProviderServer.layer({ publicUrl: new URL("http://localhost:1"), port: 0, stateFile })
      )
      const { issuer } = Context.get(built, ProviderServer)
      const keys = yield* new Browser().fetch(new URL("/jwks", issuer))
      assert.include(keys.body, '"RS256"')
    })
  )
})

describe("signing out of the embedded provider", () => {
  it.live("ends its own session, so that the next sign-in asks again", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      yield* app.signIn(browser, "alice")
      const { logoutUrl } = JSON.parse(
        (yield* browser.fetch(app.at("/api/auth/logout"), { method: "POST" })).body
      )
      const page = yield* browser.visit(logoutUrl)
      assert.include(page.body, "Sign out")
      assert.notInclude(page.body, "<script")
      const last = yield* browser.submit(page, "/session/end/confirm", { logout: "yes" }, { until: app.home })
      assert.strictEqual(last.location?.href, app.at("/").href)
      assert.include((yield* app.loginPage(browser)).body, "Alice Ackermann")
    })
  )

  it.live("ends our sessions through its back channel, in every browser that it signed in", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      yield* app.signIn(browser, "alice")
      const bob = new Browser()
      yield* app.signIn(bob, "bob")
      assert.strictEqual((yield* app.me(browser)).status, 200)
      // At the provider's own page, without asking us.
      const page = yield* browser.visit(new URL("/session/end", app.provider.issuer))
      const done = yield* browser.submit(page, "/session/end/confirm", { logout: "yes" })
      assert.include(done.body, "Signed out")
      assert.strictEqual((yield* app.me(browser)).status, 401)
      assert.strictEqual((yield* app.me(bob)).status, 200)
    })
  )
})

describe("what the embedded provider offers", () => {
  it.live("no warning of its library's on the console, whatever it is used for", () =>
    Effect.gen(function* () {
      const spies = yield* Effect.acquireRelease(
        Effect.sync(() => [vi.spyOn(console, "info"), vi.spyOn(console, "warn"), vi.spyOn(console, "error")]),
        (spies) => Effect.sync(() => spies.forEach((spy) => spy.mockRestore()))
      )
      const app = yield* start({ accessTokenSeconds: 1, scopes: "openid profile email offline_access" })
      const browser = new Browser()
      yield* app.signIn(browser, "alice")
      yield* Effect.sleep(1000)
      yield* app.me(browser)
      const { logoutUrl } = JSON.parse(
        (yield* browser.fetch(app.at("/api/auth/logout"), { method: "POST" })).body
      )
      yield* browser.submit(yield* browser.visit(logoutUrl), "/session/end/confirm", { logout: "yes" })
      yield* new Browser().fetch(new URL("/nowhere", app.provider.issuer))
      for (const spy of spies) assert.deepStrictEqual(spy.mock.calls, [])
    })
  )

  it.live("a public client must bring PKCE, and of S256", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const authorize = (parameters: { readonly [name: string]: string }) =>
        new Browser().fetch(
          new URL(
            `/auth?${new URLSearchParams({
              client_id: "edge-relay",
              response_type: "code",
              scope: "openid",
              redirect_uri: app.at("/api/auth/callback").href,
              ...parameters
            }).toString()}`,
            app.provider.issuer
          )
        )
      const without = yield* authorize({})
      assert.strictEqual(without.location?.searchParams.get("error"), "invalid_request")
      const plain = yield* authorize({ code_challenge: "a".repeat(43), code_challenge_method: "plain" })
      assert.strictEqual(plain.location?.searchParams.get("error"), "invalid_request")
    })
  )

  it.live("a redirect elsewhere is refused on its own page", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const answer = yield* new Browser().fetch(
        new URL(
          "/auth?client_id=edge-relay&response_type=code&scope=openid&redirect_uri=https://evil.example/",
          app.provider.issuer
        )
      )
      assert.strictEqual(answer.status, 400)
      assert.isUndefined(answer.location)
      assert.include(answer.body, "invalid_redirect_uri")
      assert.notInclude(answer.body, "<script")
    })
  )

  it.live("a page of a sign-in that is not under way says that it has expired", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const answer = yield* new Browser().fetch(new URL("/interaction/none", app.provider.issuer))
      assert.strictEqual(answer.status, 400)
      assert.include(answer.body, "this sign-in has expired")
    })
  )
})
