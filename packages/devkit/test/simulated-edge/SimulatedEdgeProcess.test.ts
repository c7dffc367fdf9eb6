import { ConformanceClient } from "@edge-relay/conformance/EdgeClient"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Deferred, Effect, FileSystem, Layer, Schedule, Stream } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { request } from "node:http"
import { createServer, type AddressInfo } from "node:net"
import { Readable } from "node:stream"
import { fileURLToPath } from "node:url"

const mebibyte = 1024 * 1024
const sources = {
  edge: new URL("../../src/simulated-edge/main.ts", import.meta.url).href,
  conformance: import.meta.resolve("@edge-relay/conformance/main")
}

/** One of devkit's programs: what it has written, and how it ended. Killed with the scope. */
const start = Effect.fn("start")(function* (program: keyof typeof sources, ...flags: ReadonlyArray<string>) {
  const exited = yield* Deferred.make<number | NodeJS.Signals>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [fileURLToPath(sources[program]), ...flags], {
        stdio: ["ignore", "pipe", "pipe"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const written = { out: "", err: "" }
  child.stdout.setEncoding("utf8").on("data", (text: string) => (written.out += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (written.err += text))
  child.on("close", (code, signal) => Deferred.doneUnsafe(exited, Effect.succeed(code ?? signal ?? -1)))
  return { child, written, exit: Effect.timeout(Deferred.await(exited), "20 seconds") }
})

/** The simulated edge as a program, once it listens. */
const startEdge = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "edge-process-" })
  const edge = yield* start("edge", "--port", "0", "--folder", folder)
  const url = yield* Effect.sync(() => /http:\S+\d/.exec(edge.written.out)?.[0]).pipe(
    Effect.repeat({ until: (url) => url !== undefined, schedule: Schedule.spaced("50 millis") }),
    Effect.timeout("20 seconds")
  )
  return { ...edge, url: url ?? "" }
})

layer(NodeServices.layer, { excludeTestServices: true })("edge and conformance as programs", (it) => {
  it.effect("ends with status 0 at Ctrl-C, a stream being open", () =>
    Effect.gen(function* () {
      const { url, child, exit } = yield* startEdge
      const client = Context.get(yield* Layer.build(ConformanceClient.layer(url)), ConformanceClient)
      const { bytes } = yield* client.open({ method: "GET", path: "/cameras/camera-0/stream" })
      yield* Stream.runHead(bytes)
      child.kill("SIGINT")
      assert.strictEqual(yield* exit, 0)
    })
  )

  it.effect("names the port that is taken and the flag that changes it, with status 78", () =>
    Effect.gen(function* () {
      const taken = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      // A server that listens on a port has this kind of address.
      const { port } = taken.address() as AddressInfo
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped({ prefix: "edge-process-" })
      const { written, exit } = yield* start("edge", "--port", String(port), "--folder", folder)
      assert.strictEqual(yield* exit, 78)
      assert.deepStrictEqual(written, {
        out: "",
        err: `port ${port} of 127.0.0.1 is taken; choose another: --port\n`
      })
    })
  )

  it.effect("takes 256 MiB in bounded memory", () =>
    Effect.gen(function* () {
      const { url, child } = yield* startEdge
      // Unlike one another, of one buffer.
      const random = randomBytes(2 * mebibyte)
      const hash = createHash("sha256")
      const blocks = function* () {
        for (let at = 0; at < 256; at++) {
          const block = random.subarray(at * 512, at * 512 + mebibyte)
          hash.update(block)
          yield block
        }
      }
      const residentMebibytes = () =>
        Number(execFileSync("ps", ["-o", "rss=", "-p", String(child.pid)], { encoding: "utf8" })) / 1024
      const before = residentMebibytes()
      const answer = yield* Effect.callback<string>((resume) => {
        const outgoing = request(`${url}/models/large`, {
          method: "PUT",
          headers: { "content-type": "application/octet-stream" }
        })
        outgoing.on("response", (incoming) => {
          let text = ""
          incoming.setEncoding("utf8").on("data", (part: string) => (text += part))
          incoming.on("end", () => resume(Effect.succeed(text)))
        })
        Readable.from(blocks(), { objectMode: false, highWaterMark: mebibyte }).pipe(outgoing)
        return Effect.sync(() => outgoing.destroy())
      }).pipe(
        Effect.raceFirst(
          Effect.sync(() => assert.isBelow(residentMebibytes() - before, 160)).pipe(
            Effect.repeat(Schedule.spaced("100 millis")),
            Effect.andThen(Effect.never)
          )
        )
      )
      assert.include(answer, hash.digest("hex"))
    })
  )

  it.effect("prints what conforms with status 0, and what does not with status 1", () =>
    Effect.gen(function* () {
      const { url } = yield* startEdge
      const good = yield* start("conformance", "--url", url, "--group", "cameras")
      assert.strictEqual(yield* good.exit, 0)
      assert.match(good.written.out, /GET \/cameras\/:cameraId\/stream\n {2}✓ /)
      assert.match(good.written.out, /\d+ checks: \d+ passed, 0 differ, 0 skipped\n$/)
      const bad = yield* start("conformance", "--url", `${url}/elsewhere`, "--group", "cameras")
      assert.strictEqual(yield* bad.exit, 1)
      assert.match(bad.written.out, / {2}✗ /)
      const nobody = yield* start("conformance", "--url", "http://127.0.0.1:1")
      assert.strictEqual(yield* nobody.exit, 1)
      assert.match(nobody.written.err, /^nothing answers at http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED.*\n$/)
    })
  )
})
