import { assert, describe, it } from "vitest"
import { faultsOf, watch } from "@edge-relay/testkit/gateway/MotionJpeg"

describe("A camera's stream through api, proxy and agent", () => {
  // A minute of it, with its delays, is `npm run soak`.
  it("brings every frame whole, in order and before the next one", { timeout: 120_000 }, async () => {
    const camera = { seconds: 3, framesPerSecond: 25, frameBytes: 50 * 1024, lockstep: true }
    assert.deepStrictEqual(faultsOf(await watch(camera), camera), [])
  })
})
