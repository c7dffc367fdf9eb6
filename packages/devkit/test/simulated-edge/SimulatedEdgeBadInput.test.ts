import { ConformanceClient } from "@edge-relay/conformance/EdgeClient"
import { SimulatedEdge } from "@edge-relay/devkit/simulated-edge/SimulatedEdge"
import { ClusterName } from "@edge-relay/domain/edge-api/Clusters"
import { EdgeProblem } from "@edge-relay/domain/edge-api/EdgeProblem"
import { ModelId } from "@edge-relay/domain/edge-api/Models"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Schema } from "effect"

const Client = Layer.unwrap(Effect.map(SimulatedEdge, ({ url }) => ConformanceClient.layer(url)))
const EdgeAndClient = Client.pipe(
  Layer.provideMerge(
    Layer.unwrap(
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped({ prefix: "bad-input-" })
        return SimulatedEdge.layer({ port: 0, folder, speed: 20 })
      })
    )
  ),
  Layer.provide(NodeServices.layer)
)

const endpoints: ReadonlyArray<
  readonly [method: string, path: string, payload: Schema.Codec<object, object>]
> = [
  ["POST", "/devices/accel-0/flash", Schema.Struct({ modelId: ModelId })],
  [
    "POST",
    "/devices/accel-0/inference/start",
    Schema.Struct({ cameraId: Schema.optionalKey(Schema.String) })
  ],
  [
    "POST",
    "/clusters",
    Schema.Struct({ name: ClusterName, deviceIds: Schema.Tuple([Schema.Literal("accel-0")]) })
  ],
  ["PATCH", "/clusters/cluster-0", Schema.Struct({ name: ClusterName })]
]

/** Ways to break the JSON of a good body, each beyond repair. */
const breakages: Readonly<Record<string, (good: object, at: number) => string | Uint8Array>> = {
  "another type of a field": (good, at) => withField(good, at, [{ nested: true }]),
  "a number where text belongs": (good, at) => withField(good, at, 1e308),
  "null in an array": () => "[null]",
  "an unknown field": (good) => JSON.stringify({ ...good, unknown: "field" }),
  __proto__: (good) => JSON.stringify(good).replace(/^\{/, `{"__proto__":{"admin":true},`).replace(",}", "}"),
  constructor: (good: object) => JSON.stringify({ ...good, constructor: { prototype: {} } }),
  "the same key twice": (good) =>
    JSON.stringify(good).replace(/^\{/, `{"name":"a","name":"b",`).replace(",}", "}"),
  "deep nesting": () => "[".repeat(50_000) + "]".repeat(50_000),
  "deep nesting in a field": (good, at) =>
    withField(good, at, "@").replace(`"@"`, `${`{"a":`.repeat(5_000)}1${"}".repeat(5_000)}`),
  "a body cut short": (good) => JSON.stringify({ ...good, more: 1 }).slice(0, -2),
  "invalid UTF-8": (good) =>
    Buffer.concat([Buffer.from(JSON.stringify(good).slice(0, -1)), Buffer.of(0xc3, 0x28, 0x7d)]),
  "a NUL": (good) => `\0${JSON.stringify(good)}`,
  "text of 10 MiB": (good, at) => withField(good, at, tenMebibytes),
  "nothing but spaces": () => "   ",
  "a lone number": () => "12345678901234567890123456789012345678901234567890",
  "a body of no JSON": () => "<?xml version='1.0'?><a/>"
}

const tenMebibytes = "x".repeat(10 * 1024 * 1024)

const withField = (good: object, at: number, value: unknown): string => {
  const names = Object.keys(good)
  // A body without fields breaks by one that it does not have.
  return JSON.stringify({ ...good, [names[at % Math.max(1, names.length)] ?? "name"]: value })
}

layer(EdgeAndClient, { excludeTestServices: true })("bad input", (it) => {
  const state = Effect.gen(function* () {
    const client = yield* ConformanceClient
    const read = (path: string) =>
      Effect.map(client.ask({ method: "GET", path }), ({ body }) =>
        Buffer.from(body)
          .toString()
          .replaceAll(/"lastSeenAt":"[^"]*"/g, "")
      )
    return yield* Effect.forEach(["/devices", "/clusters", "/models", "/cameras"], read)
  })

  for (const [method, path, payload] of endpoints) {
    it.effect.prop(
      `${method} ${path} answers every broken body by a 4xx problem, and changes nothing`,
      { good: payload, at: Schema.Natural },
      ({ good, at }) =>
        Effect.gen(function* () {
          const client = yield* ConformanceClient
          const before = yield* state
          for (const [what, breakIt] of Object.entries(breakages)) {
            const body = breakIt(good, at)
            const answer = yield* client.ask({
              method,
              path,
              body,
              headers: { "content-type": "application/json" }
            })
            const text = Buffer.from(answer.body).toString()
            assert.isTrue(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status} ${text}`)
            const problem = yield* Schema.decodeEffect(Schema.fromJsonString(EdgeProblem))(text)
            assert.strictEqual(problem.status, answer.status, what)
            assert.isAtMost(text.length, 10_000, what)
          }
          assert.deepStrictEqual(yield* state, before)
        }),
      { arbitrary: { runs: 12 } }
    )
  }

  it.effect("names the field at fault", () =>
    Effect.gen(function* () {
      const client = yield* ConformanceClient
      const body = JSON.stringify({ name: "", deviceIds: ["accel-0", 7], colour: "red" })
      const headers = { "content-type": "application/json" }
      const answer = yield* client.ask({ method: "POST", path: "/clusters", body, headers })
      const { errors } = yield* Schema.decodeEffect(Schema.fromJsonString(EdgeProblem))(
        Buffer.from(answer.body).toString()
      )
      assert.deepStrictEqual(errors?.map(({ path }) => path).sort(), ["colour", "deviceIds.1", "name"])
    })
  )

  for (const [what, path] of [
    ["a NUL in an id", "/devices/%00"],
    ["a slash in an id", "/devices/..%2f..%2fetc%2fpasswd"],
    ["a broken escape", "/devices/%zz"],
    ["a long id", `/devices/${"a".repeat(5_000)}`],
    ["a long query", `/media?name=${"a".repeat(8_000)}`],
    ["a control character in a name", "/media?name=a%0ab"],
    ["the same parameter twice", "/devices?limit=1&limit=2"]
  ] as const) {
    it.effect(`answers ${what} by a 4xx problem`, () =>
      Effect.gen(function* () {
        const client = yield* ConformanceClient
        const method = path.startsWith("/media?") ? "POST" : "GET"
        const headers = { "content-type": "image/png" }
        const answer = yield* client.ask({
          method,
          path,
          headers,
          ...(method === "POST" ? { body: "x" } : {})
        })
        assert.isTrue(answer.status >= 400 && answer.status < 500, String(answer.status))
        yield* Schema.decodeEffect(Schema.fromJsonString(EdgeProblem))(Buffer.from(answer.body).toString())
      })
    )
  }
})
