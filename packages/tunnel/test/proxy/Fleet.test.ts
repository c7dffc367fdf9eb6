import { assert, describe, it } from "@effect/vitest"
import { SessionStore } from "@edge-relay/domain/tunnels/SessionStore"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { eventually, eventuallyEffect } from "@edge-relay/testkit/Eventually"
import { connectRaw } from "@edge-relay/testkit/tunnel/RawAgent"
import { startProxy } from "@edge-relay/testkit/tunnel/TestTunnelServer"
import { tokenOf } from "@edge-relay/testkit/TestTokens"
import { Effect, Layer, Random } from "effect"

describe("a fleet of tunnels", () => {
  it.live("is asked to come back spread evenly over the time that its size wants", () =>
    Effect.gen(function* () {
      const size = 200
      const proxy = yield* startProxy({ graceMillis: 60_000 })
      const agents = yield* Effect.forEach(
        Array.from({ length: size }, (_, index) => `ert_${index + 1}`),
        (token) => connectRaw(proxy.url, { token }),
        { concurrency: 20 }
      )
      yield* eventuallyEffect(
        "all registered",
        Effect.map(proxy.store.list, ({ length }) => length === size)
      )
      yield* Effect.forkChild(proxy.tunnels.drain, { startImmediately: true })
      const drainOf = ({ messages }: (typeof agents)[number]) => messages.find(({ type }) => type === "drain")
      yield* eventually("a drain for each", () => agents.every((agent) => drainOf(agent) !== undefined))

      // A millisecond for each of them.
      const delays = agents.map((agent) => Number(drainOf(agent)?.["reconnectAfterMillis"]))
      assert.isTrue(delays.every((delay) => delay >= 0 && delay <= size))
      // Each tenth of the time gets some 20 of 200. That one gets none, or three times as many, does not happen.
      const tenths = Array.from(
        { length: 10 },
        (_, tenth) => delays.filter((delay) => Math.min(9, Math.floor((delay * 10) / size)) === tenth).length
      )
      for (const count of tenths) assert.isTrue(count > 0 && count < 60, tenths.join(" "))
      const mean = delays.reduce((sum, delay) => sum + delay, 0) / size
      assert.isTrue(mean > size * 0.35 && mean < size * 0.65, String(mean))
    }).pipe(Random.withSeed("a fleet"))
  )

  it.live("has its answered pings recorded by the store's own heartbeat", () =>
    Effect.gen(function* () {
      const beats: Array<string> = []
      const watched = Layer.effect(
        SessionStore,
        Effect.map(SessionStore, (store) =>
          SessionStore.of({
            ...store,
            heartbeat: (tokenId) =>
              Effect.andThen(
                Effect.sync(() => beats.push(tokenId)),
                store.heartbeat(tokenId)
              )
          })
        )
      ).pipe(Layer.provide(SessionStore.layer))
      const directory = SessionDirectory.layerMemory("http://127.0.0.1:1")
      const proxy = yield* startProxy({ heartbeatMillis: 20 }, directory, watched)
      yield* connectRaw(proxy.url)
      yield* eventually("two beats", () => beats.length >= 2)
      assert.deepStrictEqual([...new Set(beats)], [tokenOf(1).tokenId])
    })
  )
})
