import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { FlashEvent } from "@edge-relay/domain/edge-api/Firmware"
import { EdgeProblem, EdgeProblemCode, NotFound, problems } from "@edge-relay/domain/edge-api/EdgeProblem"
import { EdgeTime } from "@edge-relay/domain/edge-api/EdgeTime"
import { InferenceMessage } from "@edge-relay/domain/edge-api/Inference"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { OpenApi } from "effect/http-api"

const endpoints = Object.values(EdgeApi.groups).flatMap((group) =>
  Object.values(group.endpoints).map((endpoint) => `${endpoint.method} ${endpoint.path}`)
)

describe("EdgeApi", () => {
  it("has the endpoints that the contract lists, each once", () => {
    assert.deepStrictEqual(endpoints, [
      "GET /system/info",
      "GET /system/metrics",
      "POST /system/restart",
      "GET /devices",
      "POST /devices/scan",
      "GET /devices/:deviceId",
      "POST /devices/:deviceId/connect",
      "POST /devices/:deviceId/disconnect",
      "POST /devices/:deviceId/flash",
      "GET /devices/:deviceId/flash",
      "GET /devices/:deviceId/flash/events",
      "POST /devices/:deviceId/inference/start",
      "POST /devices/:deviceId/inference/stop",
      "GET /devices/:deviceId/inference/events",
      "GET /devices/:deviceId/inference/socket",
      "POST /devices/:deviceId/infer",
      "GET /cameras",
      "POST /cameras/:cameraId/start",
      "POST /cameras/:cameraId/stop",
      "GET /cameras/:cameraId/snapshot",
      "GET /cameras/:cameraId/stream",
      "GET /media",
      "POST /media",
      "GET /media/:mediaId",
      "DELETE /media/:mediaId",
      "GET /models",
      "PUT /models/:modelId",
      "GET /models/:modelId",
      "DELETE /models/:modelId",
      "GET /clusters",
      "POST /clusters",
      "GET /clusters/:clusterId",
      "PATCH /clusters/:clusterId",
      "DELETE /clusters/:clusterId",
      "POST /clusters/:clusterId/start",
      "POST /clusters/:clusterId/stop",
      "GET /clusters/:clusterId/events"
    ])
  })

  it("makes an OpenAPI document in which every operation has a summary and its errors are problems", () => {
    const { paths } = OpenApi.fromApi(EdgeApi)
    const operations = Object.values(paths).flatMap(({ get, post, put, patch, delete: remove }) =>
      [get, post, put, patch, remove].filter((operation) => operation !== undefined)
    )
    assert.strictEqual(operations.length, endpoints.length)
    for (const operation of operations) {
      assert.isNotEmpty(operation.summary, operation.operationId)
      for (const [status, response] of Object.entries(operation.responses)) {
        if (Number(status) < 400) continue
        assert.deepStrictEqual(Object.keys(response.content ?? {}), ["application/problem+json"])
      }
    }
  })

  it("documents the streams by their content types", () => {
    const { paths } = OpenApi.fromApi(EdgeApi)
    const typesOf = (path: string) => Object.keys(paths[path]?.get?.responses[200]?.content ?? {})
    assert.deepStrictEqual(typesOf("/devices/{deviceId}/flash/events"), ["text/event-stream"])
    assert.deepStrictEqual(typesOf("/cameras/{cameraId}/stream"), ["multipart/x-mixed-replace"])
    assert.deepStrictEqual(typesOf("/cameras/{cameraId}/snapshot"), ["image/jpeg"])
    assert.deepStrictEqual(typesOf("/models/{modelId}"), ["application/json", "application/octet-stream"])
    assert.includeMembers(Object.keys(paths["/media/{mediaId}"]?.get?.responses ?? {}), ["200", "206", "304"])
  })
})

describe("EdgeProblem", () => {
  it("has a status and a title for each code", () => {
    assert.deepStrictEqual([...EdgeProblemCode.literals], Object.keys(problems))
  })

  it.effect("decodes what each case encodes to", () =>
    Effect.gen(function* () {
      const encoded = yield* Schema.encodeEffect(NotFound)(new NotFound({ detail: "there is no device 7" }))
      const problem = yield* Schema.decodeUnknownEffect(EdgeProblem)(encoded)
      assert.deepStrictEqual(problem, {
        type: "about:blank",
        title: "Not found",
        status: 404,
        code: "not_found",
        detail: "there is no device 7"
      })
    })
  )
})

describe("EdgeTime", () => {
  it.effect("takes UTC with milliseconds and gives the same back", () =>
    Effect.gen(function* () {
      const text = "2030-01-31T12:00:00.007Z"
      assert.strictEqual(
        yield* Schema.encodeEffect(EdgeTime)(yield* Schema.decodeEffect(EdgeTime)(text)),
        text
      )
    })
  )

  for (const text of [
    "2030-01-31T12:00:00Z",
    "2030-01-31T12:00:00.007+01:00",
    "2030-01-31",
    "2030-13-31T12:00:00.007Z",
    ""
  ]) {
    it.effect(`refuses "${text}"`, () => Effect.flip(Schema.decodeEffect(EdgeTime)(text)))
  }
})

describe("events", () => {
  it.effect.prop("a flash event survives its wire form", [FlashEvent], ([event]) =>
    Effect.gen(function* () {
      const wire = yield* Schema.encodeEffect(FlashEvent)(event)
      const read = yield* Schema.decodeEffect(FlashEvent)(wire)
      assert.deepStrictEqual(yield* Schema.encodeEffect(FlashEvent)(read), wire)
    })
  )

  it.effect.prop("an inference message survives JSON", [InferenceMessage], ([message]) =>
    Effect.gen(function* () {
      const codec = Schema.fromJsonString(Schema.toCodecJson(InferenceMessage))
      const wire = yield* Schema.encodeEffect(codec)(message)
      const read = yield* Schema.decodeEffect(codec)(wire)
      assert.strictEqual(yield* Schema.encodeEffect(codec)(read), wire)
    })
  )
})
