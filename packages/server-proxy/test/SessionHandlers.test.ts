import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { TunnelEvent } from "@edge-relay/protocol/TunnelEvent"
import { eventStream } from "../src/SessionHandlers.ts"

const draining: TunnelEvent = { type: "draining" }

const textsOf = (events: Stream.Stream<TunnelEvent>, maxBehind: number) => {
  const { body } = eventStream(events, maxBehind)
  return body._tag === "Stream" ? Stream.decodeText(body.stream) : Stream.die("not a stream")
}

describe("the stream of events", () => {
  it.effect("writes each event as a Server-Sent Event", () =>
    Effect.gen(function* () {
      const [text] = yield* Stream.runCollect(Stream.take(textsOf(Stream.make(draining), 10), 1))
      assert.strictEqual(text, 'data: {"type":"draining"}\n\n')
    })
  )

  it.live("cuts a reader off that does not keep up, and not one that does", () =>
    Effect.gen(function* () {
      const many = Stream.fromIterable(Array.from({ length: 1_000 }, () => draining))
      const slow = Stream.runForEach(textsOf(many, 10), () => Effect.sleep("1 millis"))
      assert.strictEqual(yield* Effect.flip(slow), "a reader of events does not keep up")
      const patient = textsOf(many, 1_000)
      assert.include(yield* Stream.runHead(patient).pipe(Effect.flatMap(Effect.fromOption)), "draining")
    })
  )
})
