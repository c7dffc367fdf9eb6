import { DeviceId } from "@edge-relay/domain/edge-api/Devices"
import { ModelId } from "@edge-relay/domain/edge-api/Models"
import type { Differs } from "@edge-relay/conformance/Report"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { within } from "@edge-relay/testkit/Within"
import { DateTime, Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { createServer, type AddressInfo } from "node:net"
import { startEdge } from "./SimulatedEdgeInFolder.ts"

const device = { params: { deviceId: DeviceId.make("accel-0") } }
const octets = { "content-type": "application/octet-stream" }

layer(NodeServices.layer, { excludeTestServices: true })("SimulatedEdge", (it) => {
  it.effect("knows one accelerator, and finds the other by a scan", () =>
    Effect.gen(function* () {
      const { api } = yield* startEdge()
      const before = yield* api.devices.list({ query: {} })
      assert.deepStrictEqual(
        before.items.map(({ id }) => String(id)),
        ["accel-0"]
      )
      const { found, items } = yield* api.devices.scan()
      assert.deepStrictEqual(found.map(String), ["accel-1"])
      assert.deepStrictEqual(
        items.map(({ id }) => String(id)),
        ["accel-0", "accel-1"]
      )
      assert.deepStrictEqual((yield* api.devices.scan()).found, [])
    })
  )

  it.effect("flashes a model, tells its progress, and runs it afterwards", () =>
    Effect.gen(function* () {
      const { api, http } = yield* startEdge()
      yield* http.ask({ method: "PUT", path: "/models/second", headers: octets, body: "weights" })
      const begun = yield* api.firmware.flash({ ...device, payload: { modelId: ModelId.make("second") } })
      assert.strictEqual(begun.state, "running")
      const progress = yield* Stream.runCollect(yield* api.firmware.events(device))
      assert.isAbove(progress.length, 2)
      assert.deepInclude(progress.at(-1)?.data, {
        id: begun.id,
        state: "succeeded",
        stage: "done",
        percent: 100,
        error: null
      })
      assert.strictEqual((yield* api.devices.get(device)).modelId, "second")
    })
  )

  it.effect("fails a flash at the stage that the model's id asks for, and keeps the model before", () =>
    Effect.gen(function* () {
      const { api, http } = yield* startEdge()
      const before = yield* api.devices.get(device)
      yield* http.ask({ method: "PUT", path: "/models/fail-at-verifying", headers: octets, body: "weights" })
      yield* api.firmware.flash({ ...device, payload: { modelId: ModelId.make("fail-at-verifying") } })
      const progress = yield* Stream.runCollect(yield* api.firmware.events(device))
      const last = progress.at(-1)?.data
      assert.deepInclude(last, { state: "failed", stage: "verifying" })
      assert.match(last?.error ?? "", /^verifying: /)
      const after = yield* api.devices.get(device)
      assert.strictEqual(after.state, "connected")
      assert.strictEqual(after.modelId, before.modelId)
    })
  )

  it.effect("refuses what a flash under way does not allow", () =>
    Effect.gen(function* () {
      const { api, http } = yield* startEdge({ speed: 1 })
      yield* http.ask({ method: "PUT", path: "/models/second", headers: octets, body: "weights" })
      yield* api.firmware.flash({ ...device, payload: { modelId: ModelId.make("second") } })
      const refused = [
        { method: "POST", path: "/devices/accel-0/disconnect" },
        { method: "POST", path: "/devices/accel-0/inference/start" },
        { method: "DELETE", path: "/models/second" },
        { method: "PUT", path: "/models/second", headers: octets, body: "other" }
      ]
      for (const ask of refused)
        assert.strictEqual((yield* http.ask(ask)).status, 409, `${ask.method} ${ask.path}`)
      const again = yield* Effect.flip(
        api.firmware.flash({ ...device, payload: { modelId: ModelId.make("second") } })
      )
      assert.strictEqual(again._tag, "Conflict")
    })
  )

  it.effect("ends what runs when it is restarted", () =>
    Effect.gen(function* () {
      const { api } = yield* startEdge({ speed: 1 })
      const { startedAt } = yield* api.edgeSystem.info()
      yield* api.firmware.flash({ ...device, payload: { modelId: ModelId.make("people-and-cars") } })
      yield* api.edgeSystem.restart()
      assert.deepInclude(yield* api.firmware.status(device), {
        state: "failed",
        error: "the edge was restarted"
      })
      assert.strictEqual((yield* api.devices.get(device)).state, "disconnected")
      assert.isTrue(DateTime.isGreaterThan((yield* api.edgeSystem.info()).startedAt, startedAt))
    })
  )

  it.effect("emits results at 30 a second and no faster", () =>
    Effect.gen(function* () {
      const { api } = yield* startEdge()
      yield* api.inference.start({ ...device, payload: null })
      const events = yield* api.inference
        .events(device)
        .pipe(Effect.map(Stream.take(32)), Effect.flatMap(Stream.runCollect))
      const results = events.flatMap((event) => (event.event === "result" ? [event.data] : []))
      const [first, last] = [results[0], results.at(-1)]
      if (first === undefined || last === undefined) return assert.fail("no result came")
      const rate =
        (last.sequence - first.sequence) / ((last.at.epochMilliseconds - first.at.epochMilliseconds) / 1000)
      assert.isAtLeast(rate, 28)
      assert.isAtMost(rate, 32)
    })
  )

  it.effect("tells a listener of each start and stop", () =>
    Effect.gen(function* () {
      const { api } = yield* startEdge()
      const listening = yield* Deferred.make<void>()
      const told = yield* (yield* api.inference.events(device)).pipe(
        Stream.tap(() => Deferred.succeed(listening, undefined)),
        Stream.filter(({ event }) => event === "status"),
        Stream.take(3),
        Stream.runCollect,
        Effect.forkChild
      )
      yield* Deferred.await(listening)
      yield* api.inference.start({ ...device, payload: null })
      yield* api.inference.stop(device)
      const statuses = yield* Fiber.join(told)
      assert.deepStrictEqual(
        statuses.map(({ data }) => "running" in data && data.running),
        [false, true, false]
      )
    })
  )

  it.effect("ends a camera's streams when the camera is stopped", () =>
    Effect.gen(function* () {
      const { http } = yield* startEdge()
      const { bytes } = yield* http.open({ method: "GET", path: "/cameras/camera-0/stream" })
      const first = yield* Deferred.make<void>()
      const draining = yield* bytes.pipe(
        Stream.tap(() => Deferred.succeed(first, undefined)),
        Stream.runDrain,
        Effect.forkChild
      )
      yield* Deferred.await(first)
      yield* http.ask({ method: "POST", path: "/cameras/camera-0/stop" })
      yield* Fiber.join(draining)
    })
  )

  it.effect("closes within two seconds under open streams, and frees its port", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { http, port } = yield* Scope.provide(startEdge(), scope)
      yield* http.ask({ method: "POST", path: "/devices/accel-0/inference/start" })
      const streams: ReadonlyArray<Stream.Stream<string | Uint8Array, Differs, Scope.Scope>> = [
        ...["/devices/accel-0/inference/events", "/cameras/camera-0/stream"].map((path) =>
          Stream.unwrap(Effect.map(http.open({ method: "GET", path }), ({ bytes }) => bytes))
        ),
        http.messages("/devices/accel-0/inference/socket")
      ]
      const open = yield* Effect.forEach(streams, (stream) =>
        Effect.gen(function* () {
          const first = yield* Deferred.make<void>()
          const fiber = yield* stream.pipe(
            Stream.tap(() => Deferred.succeed(first, undefined)),
            Stream.runDrain,
            Effect.scoped,
            Effect.exit,
            Effect.forkChild
          )
          yield* Deferred.await(first)
          return fiber
        })
      )
      yield* within(2, "the end, with streams open", Scope.close(scope, Exit.void))
      yield* Effect.forEach(open, Fiber.join)
      yield* startEdge({ port })
    })
  )

  it.effect("says which port is taken", () =>
    Effect.gen(function* () {
      const taken = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      // A server that listens on a port has this kind of address.
      const { port } = taken.address() as AddressInfo
      const error = yield* Effect.flip(startEdge({ port }))
      assert.strictEqual(error.message, `port ${port} of 127.0.0.1 is taken`)
    })
  )

  it.effect("shows a page that works under any prefix and without cookies", () =>
    Effect.gen(function* () {
      const { http } = yield* startEdge({ name: `Kiosk <7> & "co"` })
      const answer = yield* http.ask({ method: "GET", path: "/" })
      assert.strictEqual(answer.headers["content-type"], "text/html; charset=utf-8")
      const html = Buffer.from(answer.body).toString()
      assert.include(html, "<h1>Kiosk &#60;7&#62; &#38; &#34;co&#34;</h1>")
      assert.include(html, "accel-0")
      assert.include(html, "data:image/jpeg;base64,/9j/")
      assert.notMatch(html, /(href|src)="(\/|https?:)/)
    })
  )

  it.effect("answers HEAD as GET without the body, and 405 with what a path takes", () =>
    Effect.gen(function* () {
      const { http } = yield* startEdge()
      const head = yield* http.ask({ method: "HEAD", path: "/devices" })
      assert.strictEqual(head.status, 200)
      assert.strictEqual(head.body.length, 0)
      const refused = yield* http.ask({ method: "DELETE", path: "/clusters" })
      assert.strictEqual(refused.status, 405)
      assert.strictEqual(refused.headers["allow"], "GET, POST")
    })
  )
})
