import { assert, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option, Tracer } from "effect"
import { ask, eventually, httpOrigin, TestGateway } from "@edge-relay/testkit/gateway/TestGateway"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const spanId = "00f067aa0ba902b7"
const traceparent = (flags: string) => `00-${traceId}-${spanId}-${flags}`

/** Answers with the headers that it was sent. */
const mirror = httpOrigin((request, response) => {
  const status = Number(new URL(request.url ?? "", "http://edge").searchParams.get("status") ?? 200)
  response.writeHead(status, { "content-type": "application/json" })
  response.end(JSON.stringify(request.rawHeaders))
})

const tracesOf = (body: Buffer) => {
  const raw: ReadonlyArray<string> = JSON.parse(body.toString())
  return raw.flatMap((name, index) =>
    index % 2 === 0 && /^trace(parent|state)$/i.test(name) ? [`${name}: ${raw[index + 1]}`] : []
  )
}

const spans: Array<Tracer.NativeSpan> = []
const tracer = Tracer.make({
  span: (options) => {
    const span = new Tracer.NativeSpan(options)
    spans.push(span)
    return span
  }
})
/** The gateway's of the last request, once it has ended. */
const ended = Effect.gen(function* () {
  const span = () => spans.findLast(({ name }) => name.includes("/api/edges/:edgeId/*"))
  yield* eventually("a span that has ended", () => span()?.status._tag === "Ended")
  const found = span()
  assert.isDefined(found)
  const { status } = found
  assert.strictEqual(status._tag, "Ended")
  return { span: found, exit: status._tag === "Ended" ? status.exit : Exit.void }
})

layer(TestGateway.layer().pipe(Layer.provide(Layer.succeed(Tracer.Tracer, tracer))), {
  excludeTestServices: true
})("Gateway, traced", (it) => {
  it.effect("goes on with the browser's trace, and has the edge go on with its own", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* mirror)
      const headers = ["traceparent", traceparent("01"), "tracestate", "a=1", "tracestate", "b=2"]
      const answer = yield* ask(gateway, `/api/edges/${edgeId}/http/some/path?secret=1`, { headers })
      const { span, exit } = yield* ended
      assert.strictEqual(span.traceId, traceId)
      assert.deepStrictEqual(
        Option.map(span.parent, (parent) => parent.spanId),
        Option.some(spanId)
      )
      assert.deepStrictEqual(tracesOf(answer.body), [
        `traceparent: 00-${traceId}-${span.spanId}-01`,
        "tracestate: a=1,b=2"
      ])
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(Object.fromEntries(span.attributes), {
        "http.request.method": "GET",
        "http.route": "/api/edges/:edgeId/*",
        "http.response.status_code": 200,
        "url.path": "/some/path",
        "edge_relay.edge_id": edgeId,
        "edge_relay.request_id": String(answer.headers["x-request-id"])
      })
    })
  )

  it.effect("notes nothing of a request whose trace is not to be kept, and tells the edge so", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* mirror)
      const headers = ["Traceparent", traceparent("00")]
      const answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`, { headers })
      const { span } = yield* ended
      assert.isFalse(span.sampled)
      assert.strictEqual(span.attributes.size, 0)
      assert.deepStrictEqual(tracesOf(answer.body), [`traceparent: 00-${traceId}-${span.spanId}-00`])
    })
  )

  it.effect.each([
    { what: "none", headers: [] },
    { what: "nonsense", headers: ["traceparent", "nonsense", "tracestate", "a=1"] },
    {
      what: "two",
      headers: ["traceparent", traceparent("01"), "traceparent", traceparent("01"), "tracestate", "a=1"]
    }
  ])("begins a trace where a request brings $what", ({ headers }) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* mirror)
      const answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`, { headers })
      const { span } = yield* ended
      assert.notStrictEqual(span.traceId, traceId)
      assert.isTrue(Option.isNone(span.parent))
      assert.deepStrictEqual(tracesOf(answer.body), [`traceparent: 00-${span.traceId}-${span.spanId}-01`])
    })
  )

  it.effect("tells a fault from a refusal", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* mirror)
      yield* ask(gateway, `/api/edges/${edgeId}/http/?status=404`)
      assert.isTrue(Exit.isSuccess((yield* ended).exit))
      yield* ask(gateway, `/api/edges/${edgeId}/http/?status=500`)
      assert.deepStrictEqual((yield* ended).exit, Exit.fail("status 500"))
      gateway.edge(edgeId).offline = true
      yield* gateway.removeEdge(edgeId)
      const offline = yield* gateway.addEdge(1)
      gateway.edge(offline).offline = true
      yield* ask(gateway, `/api/edges/${offline}/http/`)
      const { exit, span } = yield* ended
      assert.deepStrictEqual(exit, Exit.fail("edge_offline"))
      assert.strictEqual(span.attributes.get("edge_relay.cause"), "edge_offline")
      yield* ask({ ...gateway, cookie: "" }, `/api/edges/${edgeId}/http/`)
      assert.isTrue(Exit.isSuccess((yield* ended).exit))
    })
  )

  it.effect("ends the span of a browser that went away", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const silent = yield* gateway.addEdge(yield* httpOrigin(() => undefined))
      const asking = ask(gateway, `/api/edges/${silent}/http/`)
      yield* Effect.timeoutOption(asking, "200 millis")
      const { exit } = yield* ended
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
    })
  )
})

layer(TestGateway.layer(), { excludeTestServices: true })("Gateway, not traced", (it) => {
  it.effect("passes a trace's headers on as they came", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* mirror)
      const headers = ["Traceparent", traceparent("01"), "tracestate", "a=1", "tracestate", "b=2"]
      const answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`, { headers })
      assert.deepStrictEqual(tracesOf(answer.body), [
        `Traceparent: ${traceparent("01")}`,
        "tracestate: a=1",
        "tracestate: b=2"
      ])
    })
  )
})
