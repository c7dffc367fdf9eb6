import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Option, Scope, Tracer } from "effect"
import * as Tracing from "../src/Tracing.ts"
import { eventually } from "@edge-relay/testkit/Eventually"
import { within } from "@edge-relay/testkit/Within"
import { TestCollector } from "@edge-relay/testkit/TestCollector"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const spanId = "00f067aa0ba902b7"

describe("traceparent", () => {
  it("is read as W3C Trace Context says, and written back the same", () => {
    for (const flags of ["00", "01"]) {
      const header = `00-${traceId}-${spanId}-${flags}`
      const parent = Option.getOrThrow(Tracing.parentOf(header))
      assert.deepInclude(parent, { traceId, spanId, sampled: flags === "01" })
      assert.strictEqual(Tracing.traceparentOf(parent), header)
    }
  })

  it.each([
    undefined,
    "",
    "x",
    `00-${traceId}-${spanId}`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01,00-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01\r\nX-Edge-User: eve`
  ])("says nothing where it is %j", (header) => {
    assert.isTrue(Option.isNone(Tracing.parentOf(header)))
  })
})

const build = (options: Partial<Tracing.TracingOptions>) =>
  Layer.build(
    Tracing.layer({ endpoint: undefined, serviceName: "a service", exportInterval: "20 millis", ...options })
  )

const request = { kind: "server" } as const
const parent = (sampled: boolean) => Tracer.externalSpan({ traceId, spanId, sampled })

describe("Tracing", () => {
  it.effect("is not there without a collector", () =>
    Effect.gen(function* () {
      const context = yield* build({})
      assert.isUndefined(yield* Effect.provideContext(Tracing.tracer, context))
      const inSpan = Effect.withSpan(Tracing.traceparent, "a request", request)
      assert.isUndefined(yield* Effect.provideContext(inSpan, context))
    })
  )

  it.live("sends what a request does, with its parents, and nothing that no request asked for", () =>
    Effect.gen(function* () {
      const collector = yield* TestCollector.start
      const context = yield* build({ endpoint: new URL("/base/", collector.url) })
      const header = yield* Tracing.traceparent.pipe(
        Effect.withSpan("inner"),
        Effect.withSpan("outer", { ...request, parent: parent(true), attributes: { answer: 42 } }),
        Effect.provideContext(context)
      )
      yield* Effect.void.pipe(Effect.withSpan("by itself"), Effect.provideContext(context))
      yield* Effect.void.pipe(
        Effect.withSpan("unwanted", { ...request, parent: parent(false) }),
        Effect.provideContext(context)
      )
      yield* Effect.void.pipe(Effect.withSpan("begun here", request), Effect.provideContext(context))
      yield* eventually("all three", () => collector.spans.length >= 3)
      const [inner, outer, begun] = collector.spans
      assert.deepInclude(outer, {
        name: "outer",
        traceId,
        parentSpanId: spanId,
        kind: 2,
        service: "a service"
      })
      assert.strictEqual(outer?.attributes.get("answer"), 42)
      assert.deepInclude(inner, { name: "inner", traceId, parentSpanId: outer?.spanId })
      assert.strictEqual(header, `00-${traceId}-${inner?.spanId}-01`)
      assert.strictEqual(begun?.name, "begun here")
      assert.isUndefined(begun?.parentSpanId)
      assert.strictEqual(collector.spans.length, 3)
      assert.deepStrictEqual([...collector.paths], ["POST /base/v1/traces application/json"])
    })
  )

  it.live("begins as many traces as it is told, and goes on with all that others began", () =>
    Effect.gen(function* () {
      const collector = yield* TestCollector.start
      const context = yield* build({ endpoint: collector.url, share: 0 })
      yield* Effect.void.pipe(Effect.withSpan("ours", request), Effect.provideContext(context))
      yield* Effect.void.pipe(
        Effect.withSpan("theirs", { ...request, parent: parent(true) }),
        Effect.provideContext(context)
      )
      yield* eventually("theirs", () => collector.spans.length > 0)
      assert.deepStrictEqual(
        collector.spans.map(({ name }) => name),
        ["theirs"]
      )
    })
  )

  it.live("sends the last spans when it stops", () =>
    Effect.gen(function* () {
      const collector = yield* TestCollector.start
      const scope = yield* Scope.make()
      const context = yield* Scope.provide(
        build({ endpoint: collector.url, exportInterval: "1 hour" }),
        scope
      )
      yield* Effect.void.pipe(Effect.withSpan("last", request), Effect.provideContext(context))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(
        collector.spans.map(({ name }) => name),
        ["last"]
      )
    })
  )

  const many = 20_000

  /** As the gateway makes them: no fiber, no waiting. */
  const burst = (context: Context.Context<never>) =>
    Effect.sync(() => {
      const tracer = Context.get(context, Tracer.Tracer)
      for (let index = 0; index < many; index++) {
        tracer
          .span({
            name: "burst",
            parent: Option.some(parent(true)),
            annotations: Context.empty(),
            links: [],
            startTime: 0n,
            kind: "server",
            root: false,
            sampled: true
          })
          .end(1n, Exit.void)
      }
    })

  it.live.each(["never", 503, "gone"] as const)(
    "holds little for a collector whose answer is %s, says so once, and stops in time",
    (answer) => {
      const warnings: Array<unknown> = []
      return Effect.gen(function* () {
        const collector = yield* TestCollector.start
        const { url } = collector
        if (answer === "gone") collector.stop()
        else collector.answer = answer
        const scope = yield* Scope.make()
        const context = yield* Scope.provide(build({ endpoint: url }), scope)
        for (let round = 0; round < 5; round++) {
          yield* burst(context)
          yield* Effect.sleep("20 millis")
        }
        // What came after the first few batches was let go, not kept for later.
        assert.isAtMost(collector.mostOpen, 8)
        assert.isAtMost(collector.requests, 16)
        yield* within(3, "the end", Scope.close(scope, Exit.void))
        assert.deepStrictEqual(warnings, [["traces are lost: the collector does not take them"]])
      }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => warnings.push(message))])))
    }
  )

  it.live("loses nothing in a burst that the collector keeps up with", () =>
    Effect.gen(function* () {
      const collector = yield* TestCollector.start
      const context = yield* build({ endpoint: collector.url })
      const tracer = Context.get(context, Tracer.Tracer)
      assert.notStrictEqual(tracer, Tracer.nativeTracer)
      for (let index = 0; index < 2000; index++) {
        yield* Effect.void.pipe(Effect.withSpan("one", request), Effect.provideContext(context))
      }
      yield* eventually("all of them", () => collector.spans.length === 2000)
    })
  )
})
