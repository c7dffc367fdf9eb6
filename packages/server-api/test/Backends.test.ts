import { Oidc } from "@edge-relay/auth/provider/Oidc"
import { MetadataFault, ProviderUnavailable } from "@edge-relay/auth/provider/OidcError"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import { Readiness } from "@edge-relay/server-kit/Readiness"
import { Database } from "@edge-relay/storage/database/Database"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Backends from "../src/Backends.ts"

const nobody = {
  session: () => undefined,
  isContended: () => false,
  onlineOf: () => [],
  watch: () => () => {},
  missing: () => []
}

/** What readiness says of an identity provider that fails for that cause. */
const reasonOf = (cause: unknown) =>
  Effect.gen(function* () {
    const { missing } = yield* (yield* Readiness).lacks
    return missing.find(({ name }) => name === "identity provider")?.reason
  }).pipe(
    Effect.provide(
      Backends.layerReadiness.pipe(
        Layer.provideMerge(Readiness.layer),
        Layer.provide(Layer.mock(Database)({ ready: Effect.void, isShared: false })),
        Layer.provide(Layer.mock(Presence)(nobody)),
        Layer.provide(
          Layer.mock(Oidc)({
            redirectUri: "",
            ready: Effect.fail(
              new ProviderUnavailable({ operation: "discovery", retryAfterSeconds: 1, cause })
            )
          })
        )
      )
    )
  )

describe("readiness", () => {
  it.effect("tells an outage of the identity provider from a configuration that cannot work", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(new TypeError("fetch failed")), "does not answer")
      const fault =
        "OIDC_ISSUER is https://a.example/, but the metadata there name the issuer https://b.example"
      assert.strictEqual(yield* reasonOf(new MetadataFault({ fault })), fault)
    })
  )
})
