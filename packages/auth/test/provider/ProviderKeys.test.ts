import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { compactVerify } from "jose"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { assertLanded, assertPage, start } from "@edge-relay/testkit/auth/Hostile"
import { hostileProvider, json, newKeyPair } from "@edge-relay/testkit/auth/HostileProvider"
import { type Asker, makeProviderKeys } from "../../src/provider/ProviderKeys.ts"

describe("the provider's keys", () => {
  it.live("rotated while a sign-in is under way are fetched anew", () =>
    Effect.gen(function* () {
      const app = yield* start()
      assertLanded(yield* app.signIn(new Browser()), "/home")
      const browser = new Browser()
      const callback = yield* app.toCallback(browser)
      yield* app.provider.rotate
      assert.strictEqual((yield* browser.fetch(callback)).location?.pathname, "/home")
      assert.strictEqual(app.provider.to("/jwks").length, 2)
    })
  )

  it.live("are fetched once for ten sign-ins at once", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const all = yield* Effect.all(
        Array.from({ length: 10 }, () => app.signIn(new Browser())),
        { concurrency: "unbounded" }
      )
      for (const one of all) assertLanded(one, "/home")
      assert.strictEqual(app.provider.to("/jwks").length, 1)
      assert.strictEqual(app.provider.to("/.well-known/openid-configuration").length, 1)
    })
  )

  it.live("are not fetched without end for key ids that nobody has published", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const key = yield* Effect.promise(() => newKeyPair())
      for (let index = 0; index < 20; index++) {
        const token = yield* app.provider.logoutToken((claims) => claims, { kid: `unknown-${index}` }, key)
        assert.strictEqual((yield* app.backchannel(token)).status, 400)
      }
      assert.isAtMost(app.provider.to("/jwks").length, 6)
    })
  )

  it.live("are fetched for a sign-in after a rotation, however many forged logout tokens came before", () =>
    Effect.gen(function* () {
      const app = yield* start()
      assertLanded(yield* app.signIn(new Browser()), "/home")
      const key = yield* Effect.promise(() => newKeyPair("ES256"))
      for (let index = 0; index < 10; index++) {
        const token = yield* app.provider.logoutToken((claims) => claims, { kid: `unknown-${index}` }, key)
        assert.strictEqual((yield* app.backchannel(token)).status, 400)
      }
      // They were fetched a moment ago, which is good enough for strangers.
      assert.strictEqual(app.provider.to("/jwks").length, 1)
      yield* app.provider.rotate
      assertLanded(yield* app.signIn(new Browser()), "/home")
    })
  )

  it.live("have null and other things among them, which cost nobody a sign-in", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.keys = (keys) => json({ keys: [null, 7, "key", [], {}, ...keys] })
      assertLanded(yield* app.signIn(new Browser()), "/home")
    })
  )

  for (const [what, kid] of [
    ["of one id", "one"],
    ["without ids", undefined]
  ] as const) {
    it.live(`${what} are tried one after the other`, () =>
      Effect.gen(function* () {
        const app = yield* start()
        const others = yield* Effect.promise(() => Promise.all([newKeyPair("ES256"), newKeyPair("ES256")]))
        app.provider.keys.push(...others)
        app.provider.behave.keys = (keys) => json({ keys: keys.map((key) => ({ ...key, kid })) })
        app.provider.behave.sign = async (claims) => {
          const [, key] = app.provider.keys
          return key && app.provider.signWith(key, claims, { kid })
        }
        assertLanded(yield* app.signIn(new Browser()), "/home")
        const stranger = yield* Effect.promise(() => newKeyPair("ES256"))
        app.provider.behave.sign = (claims) => app.provider.signWith(stranger, claims, { kid })
        assertPage(yield* app.signIn(new Browser()), 400, "The sign-in could not be verified")
      })
    )

    it.live(`${what} are fetched anew when they no longer fit`, () =>
      Effect.gen(function* () {
        const app = yield* start()
        app.provider.behave.keys = (keys) => json({ keys: keys.map((key) => ({ ...key, kid })) })
        app.provider.behave.sign = async (claims) => {
          const key = app.provider.keys.at(-1)
          return key && app.provider.signWith(key, claims, { kid })
        }
        assertLanded(yield* app.signIn(new Browser()), "/home")
        yield* app.provider.rotate
        assertLanded(yield* app.signIn(new Browser()), "/home")
        assert.strictEqual(app.provider.to("/jwks").length, 2)
      })
    )
  }

  it.effect("are trusted for five minutes after the provider withdrew them, and no longer", () =>
    Effect.gen(function* () {
      const provider = yield* hostileProvider()
      const verify = makeProviderKeys({
        url: `${provider.issuer}/jwks`,
        timeoutSeconds: 10,
        scope: yield* Effect.scope
      })
      const [key] = provider.keys
      assert.isDefined(key)
      const token = yield* Effect.promise(() => provider.signWith(key, { sub: "alice" }))
      const isGood = Effect.map(
        verify((find) => compactVerify(token, find), "provider"),
        (result) => !(result instanceof Error)
      )
      assert.isTrue(yield* isGood)
      yield* provider.rotate
      yield* TestClock.adjust("299 seconds")
      assert.isTrue(yield* isGood)
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* isGood)
    })
  )

  it.effect("are fetched five times a minute at most for each kind of asker", () =>
    Effect.gen(function* () {
      const provider = yield* hostileProvider()
      const verify = makeProviderKeys({
        url: `${provider.issuer}/jwks`,
        timeoutSeconds: 10,
        scope: yield* Effect.scope
      })
      const key = yield* Effect.promise(() => newKeyPair("ES256"))
      const token = yield* Effect.promise(() => provider.signWith(key, { sub: "alice" }))
      const ask = (asker: Asker) => verify((find) => compactVerify(token, find), asker)
      const asked = () => provider.to("/jwks").length
      for (let index = 0; index < 20; index++) yield* ask("provider")
      assert.strictEqual(asked(), 6)
      // Strangers have a budget of their own, and none for keys that are fresh.
      for (let index = 0; index < 20; index++) yield* ask("anybody")
      assert.strictEqual(asked(), 6)
      yield* TestClock.adjust("10 seconds")
      for (let index = 0; index < 3; index++) yield* ask("anybody")
      assert.strictEqual(asked(), 7)
      for (let index = 0; index < 20; index++) {
        yield* TestClock.adjust("2500 millis")
        yield* ask("anybody")
      }
      assert.isAtMost(asked(), 12)
    })
  )

  it.live("that cannot be had answer 503, and no session", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.keys = () => ({ status: 500, headers: {}, body: "" })
      const browser = new Browser()
      assertPage(yield* app.signIn(browser), 503, "The identity provider does not answer")
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )

  it.live("of a private or symmetric kind are not used", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.keys = () =>
        json({ keys: [{ kty: "oct", kid: app.provider.keys[0]?.kid, k: "AAAA" }] })
      assertPage(yield* app.signIn(new Browser()), 400, "The sign-in could not be verified")
    })
  )
})
