import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { exportJWK, generateKeyPair, importJWK, jwtVerify } from "jose"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { assertLanded, start } from "@edge-relay/testkit/auth/Hostile"
import { clientAuthentication } from "../../src/provider/ClientAuth.ts"

/** What the token endpoint was asked with. */
const asked = Effect.fnUntraced(function* (options: Parameters<typeof start>[0]) {
  const app = yield* start(options)
  assertLanded(yield* app.signIn(new Browser()), "/home")
  const [request] = app.provider.to("/token")
  assert.isDefined(request)
  return { ...request, issuer: app.provider.issuer }
})

describe("the client proves itself", () => {
  it.live("by its secret in the body, unless it is told otherwise", () =>
    Effect.gen(function* () {
      const { form, headers } = yield* asked({ clientSecret: "a secret: %" })
      assert.strictEqual(form.get("client_secret"), "a secret: %")
      assert.isUndefined(headers.authorization)
    })
  )

  it.live("by its secret in the header", () =>
    Effect.gen(function* () {
      const { form, headers } = yield* asked({ clientAuth: "basic", clientSecret: "a secret: %" })
      // RFC 6749 §2.3.1: both are form-encoded first.
      const expected = Buffer.from("edge-relay:a+secret%3A+%25").toString("base64")
      assert.strictEqual(headers.authorization, `Basic ${expected}`)
      assert.isFalse(form.has("client_secret"))
    })
  )

  for (const alg of ["ES256", "RS256"]) {
    it.live(`by a JWT that its ${alg} key signs`, () =>
      Effect.gen(function* () {
        const pair = yield* Effect.promise(() => generateKeyPair(alg, { extractable: true }))
        const jwk = yield* Effect.promise(() => exportJWK(pair.privateKey))
        const clientKey = JSON.stringify({ ...jwk, alg, kid: "key-1" })
        const { form, headers, issuer } = yield* asked({ clientAuth: "private_key_jwt", clientKey })
        assert.isUndefined(headers.authorization)
        assert.isFalse(form.has("client_secret"))
        assert.strictEqual(
          form.get("client_assertion_type"),
          "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        )
        const { payload, protectedHeader } = yield* Effect.promise(() =>
          jwtVerify(form.get("client_assertion") ?? "", pair.publicKey)
        )
        assert.deepStrictEqual(
          [payload.iss, payload.sub, payload.aud, protectedHeader.kid],
          ["edge-relay", "edge-relay", issuer, "key-1"]
        )
      })
    )
  }

  it.effect("not by what is no private key, and says no part of it", () =>
    Effect.gen(function* () {
      const pair = yield* Effect.promise(() => generateKeyPair("ES256", { extractable: true }))
      const jwk = yield* Effect.promise(() => exportJWK(pair.publicKey))
      yield* Effect.promise(() => importJWK(jwk, "ES256"))
      for (const text of ["hunter2", "{}", JSON.stringify({ ...jwk, alg: "ES256" })]) {
        const error = yield* Effect.flip(
          clientAuthentication({ clientAuth: "private_key_jwt", clientKey: Redacted.make(text) })
        )
        assert.strictEqual(error.message, "the client's key is no private JWK with an alg")
      }
    })
  )
})
