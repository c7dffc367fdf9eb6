import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { ask, eventually, httpOrigin, TestGateway } from "@edge-relay/testkit/gateway/TestGateway"

describe("Removed edges", () => {
  it.live("are forgotten, requests that were under way too, and no other one is", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      let isAsked = false
      const port = yield* httpOrigin((request, response) => {
        if (request.url !== "/wait") return void response.end("ok")
        isAsked = true
        setTimeout(() => response.end("late"), 50)
      })
      const [removed, kept] = [yield* gateway.addEdge(port), yield* gateway.addEdge(port)]
      yield* ask(gateway, `/api/edges/${removed}/http/`)
      yield* ask(gateway, `/api/edges/${kept}/http/`)
      assert.lengthOf(gateway.traffic.recent(removed), 1)
      const waiting = yield* Effect.forkChild(ask(gateway, `/api/edges/${removed}/http/wait`), {
        startImmediately: true
      })
      yield* eventually("a request under way", () => isAsked)
      // By the store, as another server would.
      yield* gateway.removeEdge(removed)
      yield* Fiber.join(waiting)
      yield* eventually("nothing remembered", () => gateway.traffic.recent(removed).length === 0)
      yield* Effect.sleep("300 millis")
      assert.deepStrictEqual(gateway.traffic.recent(removed), [])
      assert.lengthOf(gateway.traffic.recent(kept), 1)
    }).pipe(Effect.provide(TestGateway.layer()))
  )
})
