import { checkConformance, conforms } from "@edge-relay/conformance/ConformanceSuite"
import { contractEndpoints } from "@edge-relay/conformance/Report"
import { SimulatedEdge } from "@edge-relay/devkit/simulated-edge/SimulatedEdge"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

const EdgeInFolder = Layer.unwrap(
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "conformance-" })
    return SimulatedEdge.layer({ port: 0, folder, speed: 20 })
  })
).pipe(Layer.provide(NodeServices.layer))

interface Distortion {
  readonly group: string
  readonly destructive?: boolean
  /** `METHOD /path` of what is distorted. */
  readonly matches: RegExp
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: (body: Buffer) => Buffer | string
  /** What is found to differ: endpoint, and part of the reason. */
  readonly finds: readonly [endpoint: string, reason: RegExp]
}

const distortions: Readonly<Record<string, Distortion>> = {
  "a missing field": {
    group: "edgeSystem",
    matches: /^GET \/system\/info$/,
    body: (body) => body.toString().replace(`"vendor"`, `"seller"`),
    finds: ["edgeSystem.info", /vendor/]
  },
  "a time without milliseconds": {
    group: "edgeSystem",
    matches: /^GET \/system\/metrics$/,
    body: (body) => body.toString().replace(/"at":"([^.]+)\.\d+Z"/, `"at":"$1Z"`),
    finds: ["edgeSystem.metrics", /"at"/]
  },
  "another content type": {
    group: "devices",
    matches: /^GET \/devices\/accel-\d$/,
    headers: { "content-type": "text/html" },
    finds: ["devices.get", /expected content type application\/json, got text\/html/]
  },
  "an error that is not a problem": {
    group: "devices",
    matches: /^POST \/devices\/no-such-thing\/connect$/,
    headers: { "content-type": "text/plain" },
    body: () => "not found",
    finds: ["devices.connect", /expected content type application\/problem\+json/]
  },
  "a problem whose status is another": {
    group: "firmware",
    matches: /^GET \/devices\/no-such-thing\/flash$/,
    body: (body) => body.toString().replace(`"status":404`, `"status":400`),
    finds: ["firmware.status", /404 has a body that says 400/]
  },
  "another status": {
    group: "models",
    matches: /^DELETE \/models\/conformance-model$/,
    status: 200,
    finds: ["models.remove", /expected status 204, got 200/]
  },
  "a file with one byte changed": {
    group: "media",
    matches: /^GET \/media\/media_\w+$/,
    body: (body) => {
      if (body.length > 200) body.writeUInt8(body.readUInt8(150) ^ 1, 150)
      return body
    },
    finds: ["media.download", /not those/]
  },
  "events with a name that is unknown": {
    group: "inference",
    matches: /^GET \/devices\/accel-\d\/inference\/events$/,
    body: (body) => body.toString().replaceAll("event: result", "event: outcome"),
    finds: ["inference.events", /does not decode/]
  },
  "events without the empty line between them": {
    group: "firmware",
    destructive: true,
    matches: /^GET \/devices\/accel-\d\/flash\/events$/,
    body: (body) => body.toString().replaceAll("\n\n", "\n"),
    finds: ["firmware.events", /no event came/]
  },
  "an event stream that calls itself something else": {
    group: "clusters",
    matches: /^GET \/clusters\/cluster_\w+\/events$/,
    headers: { "content-type": "application/json" },
    finds: ["clusters.events", /expected content type text\/event-stream/]
  },
  "a snapshot that is not a JPEG": {
    group: "cameras",
    matches: /^GET \/cameras\/camera-\d\/snapshot$/,
    body: (body) =>
      body.readUInt8(0) === 0xff ? Buffer.concat([Buffer.from("GIF89a"), body.subarray(6)]) : body,
    finds: ["cameras.snapshot", /does not begin as a JPEG/]
  },
  "a part of another length than it says": {
    group: "cameras",
    matches: /^GET \/cameras\/camera-\d\/stream$/,
    body: (body) =>
      Buffer.from(body.toString("latin1").replace(/Content-Length: (\d+)/g, "Content-Length: 1$1"), "latin1"),
    finds: ["cameras.stream", /./]
  }
}

/** A server before the simulated edge that changes one of its answers, chunk by chunk. */
const distorting = (target: string, distortion: Distortion) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer((incoming, outgoing) => forward(target, distortion, incoming, outgoing))
      server.on("upgrade", (_, socket) => socket.destroy())
      server.listen(0, "127.0.0.1", () => {
        // A server that listens on a port has this kind of address.
        const { port } = server.address() as AddressInfo
        const close = () => {
          server.close()
          server.closeAllConnections()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const forward = (
  target: string,
  distortion: Distortion,
  incoming: IncomingMessage,
  outgoing: ServerResponse
) => {
  const applies = distortion.matches.test(`${incoming.method} ${incoming.url}`)
  const onwards = request(`${target}${incoming.url}`, { method: incoming.method, headers: incoming.headers })
  onwards.on("response", (answer) => {
    const { "content-length": length, ...headers } = answer.headers
    const kept = applies || length === undefined ? headers : { ...headers, "content-length": length }
    outgoing.writeHead((applies && distortion.status) || (answer.statusCode ?? 500), {
      ...kept,
      ...(applies ? distortion.headers : {})
    })
    answer.on("data", (chunk: Buffer) =>
      outgoing.write(applies && distortion.body ? distortion.body(chunk) : chunk)
    )
    answer.on("end", () => outgoing.end())
    answer.on("error", () => outgoing.destroy())
  })
  onwards.on("error", () => outgoing.destroy())
  outgoing.on("close", () => onwards.destroy())
  if (incoming.headers["content-length"] !== undefined) onwards.flushHeaders()
  incoming.pipe(onwards)
}

layer(EdgeInFolder, { excludeTestServices: true })("conformance", (it) => {
  it.effect("finds nothing to differ in the simulated edge, and skips nothing", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatedEdge
      const results = yield* checkConformance({ url, destructive: true })
      assert.deepStrictEqual(
        results.filter(({ outcome }) => outcome !== "passed"),
        []
      )
      assert.isTrue(conforms(results))
    })
  )

  it.effect("looks at every endpoint of the contract", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatedEdge
      const results = yield* checkConformance({ url })
      const seen = new Set(results.map(({ endpoint }) => endpoint))
      assert.deepStrictEqual(
        contractEndpoints.filter(({ id }) => !seen.has(id)),
        []
      )
      for (const { endpoint, title, outcome, detail } of results) {
        assert.notStrictEqual(outcome, "differs", `${endpoint} ${title}: ${detail}`)
      }
    })
  )

  for (const [what, distortion] of Object.entries(distortions)) {
    it.effect(`reports ${what}, at the endpoint that has it`, () =>
      Effect.gen(function* () {
        const edge = yield* SimulatedEdge
        const { url } = yield* distorting(edge.url, distortion)
        const results = yield* checkConformance({
          url,
          groups: [distortion.group],
          destructive: distortion.destructive ?? false
        })
        const [endpoint, reason] = distortion.finds
        // The distorting server takes no upgrades.
        const found = results.filter(
          (each) => each.outcome === "differs" && each.endpoint !== "inference.socket"
        )
        assert.isNotEmpty(found)
        for (const each of found) assert.strictEqual(each.endpoint, endpoint, `${each.title}: ${each.detail}`)
        assert.isTrue(
          found.some(({ detail }) => reason.test(detail)),
          found.map(({ detail }) => detail).join("; ")
        )
      })
    )
  }

  it.effect("says so in one error where nothing answers", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(checkConformance({ url: "http://127.0.0.1:1" }))
      assert.match(error.message, /nothing answers at http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/)
    })
  )
})
