import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventuallyEffect } from "@edge-relay/testkit/Eventually"
import { tokenOf } from "@edge-relay/testkit/TestTokens"
import { connectRaw } from "@edge-relay/testkit/tunnel/RawAgent"
import { startProxy } from "@edge-relay/testkit/tunnel/TestTunnelServer"
import { goAway, ping, wnd } from "@edge-relay/testkit/yamux/Wire"

/** A million frames that move nothing, from an agent that is paired. */
describe("a tunnel that is flooded with frames that move nothing", () => {
  const flood = (frame: Buffer) => Buffer.concat(Array.from({ length: 100_000 }, () => frame))

  it.live.each([
    ["pongs", flood(ping(1, "ACK"))],
    ["resets of unknown streams", flood(wnd(99, 0, "RST"))],
    ["GoAways", flood(goAway(0))]
  ] as const)("is closed with 4009, and no other is: %s", ([, frames]) =>
    Effect.gen(function* () {
      const { url, store } = yield* startProxy()
      const beside = yield* connectRaw(url, { token: "ert_2" })
      const flooding = yield* connectRaw(url)
      yield* eventuallyEffect("registration", store.exists(tokenOf(2).tokenId))
      for (let n = 0; n < 10; n++) flooding.webSocket.send(frames, () => undefined)
      const { code, reason } = yield* Effect.promise(() => flooding.closed)
      assert.strictEqual(code, 4009)
      assert.include(reason, "moved nothing")
      assert.isAtLeast(yield* Effect.promise(() => beside.session.ping()), 0)
      assert.isTrue(yield* store.exists(tokenOf(2).tokenId))
    })
  )
})
