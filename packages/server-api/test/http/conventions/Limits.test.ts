import { assert, describe, it } from "@effect/vitest"
import { StorageUnavailable } from "@edge-relay/domain/api/Problem"
import { UserId } from "@edge-relay/domain/ids/UserId"
import { Effect, Layer } from "effect"
import { HttpServerRequest } from "effect/http"
import { RateLimiter } from "effect/persistence"
import { Limits } from "../../../src/http/conventions/Limits.ts"

const away = new RateLimiter.RateLimiterError({
  reason: new RateLimiter.RateLimitStoreError({ message: "away" })
})

const layerAway = Limits.layer.pipe(
  Layer.provide(RateLimiter.layer),
  Layer.provide(
    Layer.mock(RateLimiter.RateLimiterStore)({
      fixedWindow: () => Effect.fail(away),
      tokenBucket: () => Effect.fail(away)
    })
  )
)

describe("Limits", () => {
  it.effect("count no guess while counts are away, and let the signed-in go on", () =>
    Effect.gen(function* () {
      const limits = yield* Limits
      assert.instanceOf(yield* Effect.flip(limits.check("pairingTry", "192.0.2.1")), StorageUnavailable)
      yield* limits.checkChange(UserId.make("user_01h00000000000000000000000"))
    }).pipe(
      Effect.provide(layerAway),
      Effect.provideService(
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(new Request("http://a"))
      )
    )
  )
})
