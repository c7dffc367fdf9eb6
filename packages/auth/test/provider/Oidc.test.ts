import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { accessTokenHash } from "../../src/provider/IdTokenChecks.ts"
import { Oidc } from "../../src/provider/Oidc.ts"
import { readIdentity } from "../../src/provider/ProviderIdentity.ts"
import { eventually } from "@edge-relay/testkit/auth/eventually"
import { hostileProvider, json } from "@edge-relay/testkit/auth/HostileProvider"

const options = (issuer: string, publicUrl = "http://localhost:3721") => ({
  issuer: new URL(issuer),
  clientId: "edge-relay",
  scopes: "openid",
  publicUrl: new URL(publicUrl)
})

const build = (given: Parameters<typeof Oidc.layer>[0]) =>
  Effect.map(Layer.build(Oidc.layer(given)), (context) => Context.get(context, Oidc))

describe("Oidc", () => {
  it.effect("does not start with a provider in the clear where browsers come by https", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(build(options("http://issuer.example", "https://relay.example")))
      assert.strictEqual(error.message, "issuer http://issuer.example/ is not https")
    })
  )

  it.live(
    "starts while the provider is down, says so, and is ready when it is back, without being asked",
    () =>
      Effect.gen(function* () {
        const provider = yield* hostileProvider()
        provider.behave.discovery = () => "reset"
        const oidc = yield* build(options(provider.issuer))
        const error = yield* Effect.flip(oidc.ready)
        assert.strictEqual(error.message, "the identity provider did not answer (discovery)")
        provider.behave.discovery = (metadata) => json(metadata)
        const asked = provider.to("/.well-known/openid-configuration").length
        yield* eventually(
          "it asks again by itself",
          Effect.sync(() => provider.to("/.well-known/openid-configuration").length > asked)
        )
        yield* eventually(
          "it is ready",
          Effect.map(Effect.result(oidc.ready), ({ _tag }) => _tag === "Success")
        )
      })
  )

  it.live("does not follow an endpoint in the clear of a provider that is not", () =>
    Effect.gen(function* () {
      const provider = yield* hostileProvider()
      provider.behave.metadata = (metadata) => ({
        ...metadata,
        authorization_endpoint: "javascript:alert(1)"
      })
      const oidc = yield* build(options(provider.issuer))
      const error = yield* Effect.flip(Effect.flatMap(oidc.newAttempt, oidc.authorizationUrl))
      assert.match(
        error.fault ?? "",
        /name the authorization_endpoint javascript:alert\(1\), which is not https$/
      )
    })
  )
})

describe("at_hash", () => {
  it("is the left half of the hash that the algorithm has", () => {
    // OpenID Connect Core, appendix A.3.
    assert.strictEqual(
      accessTokenHash("RS256", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
      "77QmUPtjPfzWtF2AnpK9RQ"
    )
    assert.strictEqual(Buffer.from(accessTokenHash("ES384", "a"), "base64url").length, 24)
    assert.strictEqual(Buffer.from(accessTokenHash("PS512", "a"), "base64url").length, 32)
    assert.strictEqual(Buffer.from(accessTokenHash("EdDSA", "a"), "base64url").length, 32)
  })
})

describe("an identity", () => {
  it("keeps a name, an address and a picture that can be shown, and nothing else", () => {
    const identity = readIdentity(
      "https://a.example",
      { sub: "s", name: "A", email: "a@b", picture: "https://p/q", x: 1 },
      undefined
    )
    assert.deepStrictEqual(identity, {
      issuer: "https://a.example",
      subject: "s",
      sid: null,
      name: "A",
      email: "a@b",
      picture: "https://p/q",
      tenant: null,
      role: "admin"
    })
  })
})
