import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Answer, Browser } from "@edge-relay/testkit/auth/Browser"
import { assertPage, signedInBrowser, start } from "@edge-relay/testkit/auth/Hostile"
import { json } from "@edge-relay/testkit/auth/HostileProvider"

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

  it.live("is refused where an address names the tenant that the provider has not verified", () =>
    Effect.gen(function* () {
      const app = yield* start({ tenantClaim: "email" })
      const browser = new Browser()
      for (const email_verified of [false, "false"]) {
        app.provider.behave.userinfo = (claims) => json({ ...claims, email_verified })
        assertPage(yield* app.signIn(browser), 400, "Your account belongs to no organisation")
        // The ID token's address does not hide what userinfo says of it.
        app.provider.behave.claims = (claims) => ({ ...claims, name: "A", email: "a@b.example" })
        assertPage(yield* app.signIn(browser), 400, "Your account belongs to no organisation")
        app.provider.behave.claims = (claims) => ({ ...claims, email: "a@b.example", email_verified })
        assertPage(yield* app.signIn(browser), 400, "Your account belongs to no organisation")
        app.provider.behave.claims = (claims) => claims
      }
      for (const email_verified of [true, undefined]) {
        app.provider.behave.userinfo = (claims) => json({ ...claims, email_verified })
        assert.strictEqual((yield* app.signIn(browser)).status, 302)
      }
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

describe("a role", () => {
  const roles = { claim: "access.roles", map: new Map([["staff", "operator"] as const]) }

  it.live("is what the claim says, and an admin's where no claim is configured", () =>
    Effect.gen(function* () {
      const app = yield* start({ roles })
      app.provider.behave.userinfo = (claims) => json({ ...claims, access: { roles: ["staff", "others"] } })
      const browser = yield* signedInBrowser(app)
      assert.strictEqual(JSON.parse((yield* app.me(browser)).body).role, "operator")
      const plain = yield* start()
      assert.strictEqual(JSON.parse((yield* plain.me(yield* signedInBrowser(plain))).body).role, "admin")
    })
  )

  it.live("is given to nobody by default: whoever has none is told so, and not let in", () =>
    Effect.gen(function* () {
      const app = yield* start({ roles })
      app.provider.behave.userinfo = (claims) => json({ ...claims, access: { roles: ["others"] } })
      const browser = new Browser()
      assertPage(yield* app.signIn(browser), 400, "Your account has no role here")
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )
})
