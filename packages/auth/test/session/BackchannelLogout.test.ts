import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { UnsecuredJWT, type JWTPayload } from "jose"
import { Browser, request } from "@edge-relay/testkit/auth/Browser"
import { eventually } from "@edge-relay/testkit/auth/eventually"
import { assertPage, signedInBrowser, start } from "@edge-relay/testkit/auth/Hostile"
import { json, newKeyPair, seconds } from "@edge-relay/testkit/auth/HostileProvider"

const event = "http://schemas.openid.net/event/backchannel-logout"

describe("back-channel logout", () => {
  it.live("ends the sessions that its sid names, and no others", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const one = yield* signedInBrowser(app)
      app.provider.behave.sid = "session-2"
      const two = yield* signedInBrowser(app)
      const token = yield* app.provider.logoutToken((claims) => ({ ...claims, sid: "session-1" }))
      const answer = yield* app.backchannel(token)
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.headers["cache-control"], "no-store")
      assert.strictEqual((yield* app.me(one)).status, 401)
      const me = yield* app.me(two)
      assert.strictEqual(me.status, 200)
      const { items } = yield* app.audit.list(JSON.parse(me.body).tenant.id, { limit: 1 })
      assert.strictEqual(items[0]?.action, "sign_in.ended")
      assert.match(items[0]?.detail ?? "", /^sess_\w+ provider$/)
      const metrics = yield* Metric.snapshot
      assert.isTrue(metrics.some(({ id }) => id === "backchannel_logouts_total"))
    })
  )

  it.live("ends all sessions of a subject where it names no sid, and nobody else's", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const one = yield* signedInBrowser(app)
      app.provider.behave.sid = "session-2"
      const two = yield* signedInBrowser(app)
      app.provider.behave.subject = "bob"
      const bob = yield* signedInBrowser(app)
      const token = yield* app.provider.logoutToken(({ sid: _sid, ...claims }) => ({
        ...claims,
        sub: "alice"
      }))
      assert.strictEqual((yield* app.backchannel(token)).status, 200)
      assert.strictEqual((yield* app.me(one)).status, 401)
      assert.strictEqual((yield* app.me(two)).status, 401)
      assert.strictEqual((yield* app.me(bob)).status, 200)
    })
  )

  it.live("of nobody who is here is accepted, and recorded", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const token = yield* app.provider.logoutToken((claims) => ({ ...claims, sub: "nobody" }))
      assert.strictEqual((yield* app.backchannel(token)).status, 200)
    })
  )

  it.live("replayed is refused", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const token = yield* app.provider.logoutToken(({ sid: _sid, ...claims }) => claims)
      assert.strictEqual((yield* app.backchannel(token)).status, 200)
      const browser = yield* signedInBrowser(app)
      const again = yield* app.backchannel(token)
      assert.strictEqual(again.status, 400)
      assert.strictEqual(JSON.parse(again.body).code, "invalid_logout_token")
      assert.strictEqual((yield* app.me(browser)).status, 200)
    })
  )

  it.live("twenty times at once is accepted once", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const token = yield* app.provider.logoutToken((claims) => claims)
      const codes = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => Effect.map(app.backchannel(token), ({ status }) => status),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(codes.filter((status) => status === 200).length, 1)
      assert.strictEqual(codes.filter((status) => status === 400).length, 19)
    })
  )

  const refused = (
    name: string,
    claims: (honest: JWTPayload) => JWTPayload,
    header: { readonly [name: string]: unknown } = {}
  ) =>
    it.live(`refuses a token ${name}`, () =>
      Effect.gen(function* () {
        const app = yield* start()
        const browser = yield* signedInBrowser(app)
        const answer = yield* app.backchannel(yield* app.provider.logoutToken(claims, header))
        assert.strictEqual(answer.status, 400, answer.body)
        assert.strictEqual(JSON.parse(answer.body).code, "invalid_logout_token")
        assert.strictEqual((yield* app.me(browser)).status, 200)
      })
    )
  const without = (claim: string) => (claims: JWTPayload) =>
    Object.fromEntries(Object.entries(claims).filter(([name]) => name !== claim))

  refused("of another issuer", (claims) => ({ ...claims, iss: "https://other.example" }))
  refused("without an issuer", without("iss"))
  refused("for another client", (claims) => ({ ...claims, aud: "another" }))
  refused("without an audience", without("aud"))
  refused("that has expired", (claims) => ({ ...claims, exp: seconds() - 61 }))
  refused("without an expiry", without("exp"))
  refused("made in the future", (claims) => ({ ...claims, iat: seconds() + 120 }))
  refused("made an hour ago", (claims) => ({ ...claims, iat: seconds() - 3600 }))
  refused("without the time when it was made", without("iat"))
  refused("without an id", without("jti"))
  refused("with an empty id", (claims) => ({ ...claims, jti: "" }))
  refused("without events", without("events"))
  refused("with another event", (claims) => ({ ...claims, events: { "http://example.com/event": {} } }))
  refused("whose event is no object", (claims) => ({ ...claims, events: { [event]: true } }))
  refused("whose events are a list", (claims) => ({ ...claims, events: [event] }))
  refused("with a nonce", (claims) => ({ ...claims, nonce: "n" }))
  refused("with neither sub nor sid", ({ sub: _sub, sid: _sid, ...claims }) => claims)
  refused("whose sub is no text", (claims) => ({ ...claims, sub: 7 as unknown as string }))
  refused("whose sid is no text", (claims) => ({ ...claims, sid: 7 }))
  refused("of an access token's type", (claims) => claims, { typ: "at+jwt" })
  refused("with an unknown key id", (claims) => claims, { kid: "unknown" })

  for (const typ of [undefined, "JWT", "jwt", "logout+jwt", "application/logout+jwt"]) {
    it.live(`takes a token of type ${typ ?? "none"}`, () =>
      Effect.gen(function* () {
        const app = yield* start()
        const browser = yield* signedInBrowser(app)
        const token = yield* app.provider.logoutToken((claims) => claims, { typ })
        assert.strictEqual((yield* app.backchannel(token)).status, 200)
        assert.strictEqual((yield* app.me(browser)).status, 401)
      })
    )
  }

  for (const [what, named] of [
    ["the subject", ({ sid: _sid, ...claims }: JWTPayload) => claims],
    ["the provider's session", ({ sub: _sub, ...claims }: JWTPayload) => claims]
  ] as const) {
    it.live(`that names ${what} ends a sign-in whose callback is under way`, () =>
      Effect.gen(function* () {
        const app = yield* start()
        const browser = new Browser()
        const callback = yield* app.toCallback(browser)
        let logOut = () => {}
        const reached = new Promise<void>((resolve) => (logOut = resolve))
        let goOn = () => {}
        const loggedOut = new Promise<void>((resolve) => (goOn = resolve))
        app.provider.behave.token = async (honest) => {
          logOut()
          await loggedOut
          return json(honest)
        }
        const [answer] = yield* Effect.all(
          [
            browser.fetch(callback),
            Effect.gen(function* () {
              yield* Effect.promise(() => reached)
              assert.strictEqual((yield* app.backchannel(yield* app.provider.logoutToken(named))).status, 200)
              goOn()
            })
          ],
          { concurrency: "unbounded" }
        )
        assertPage(answer, 400, "You have signed out")
        assert.strictEqual(yield* app.sessions.count, 0)
        // The refresh token that nobody will use is taken back.
        yield* eventually(
          "it is revoked",
          Effect.sync(() => app.provider.to("/revoke").length === 1)
        )
        app.provider.behave.token = (honest) => json(honest)
        app.provider.behave.sid = "session-2"
        assert.strictEqual((yield* app.signIn(browser)).status, 302)
        assert.strictEqual((yield* app.me(browser)).status, 200)
      })
    )
  }

  it.live("refuses a token that is not signed, or by another key", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const [key] = app.provider.keys
      const other = yield* Effect.promise(() => newKeyPair())
      const forged = yield* app.provider.logoutToken(
        (claims) => claims,
        {},
        { ...other, kid: key?.kid ?? "" }
      )
      const unsigned = new UnsecuredJWT({
        iss: app.provider.issuer,
        sub: "alice",
        events: { [event]: {} }
      }).encode()
      for (const token of [forged, unsigned, "not.a.token", "", "x".repeat(100_000)]) {
        assert.strictEqual((yield* app.backchannel(token)).status, 400)
      }
      assert.strictEqual((yield* app.me(browser)).status, 200)
    })
  )

  it.live("refuses an ID token", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const { logoutUrl } = JSON.parse((yield* app.post(browser, "/api/auth/logout")).body)
      const idToken = new URL(logoutUrl).searchParams.get("id_token_hint") ?? ""
      assert.strictEqual((yield* app.backchannel(idToken)).status, 400)
    })
  )

  it.live("needs no cookie and minds no other site: the provider is one", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const token = yield* app.provider.logoutToken((claims) => claims)
      const answer = yield* request(app.at("/api/auth/backchannel-logout"), {
        method: "POST",
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          origin: app.provider.issuer,
          "sec-fetch-site": "cross-site"
        },
        body: new URLSearchParams({ logout_token: token }).toString()
      })
      assert.strictEqual(answer.status, 200)
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )

  it.live("tells those who watch the session, at once", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const found = yield* app.check.find(`session=${browser.cookie("session")}`)
      const seen: Array<string> = []
      if (found._tag === "Some") app.sessions.watch(found.value.session, (reason) => seen.push(reason))
      yield* app.backchannel(yield* app.provider.logoutToken((claims) => claims))
      assert.deepStrictEqual(seen, ["provider"])
    })
  )
})
