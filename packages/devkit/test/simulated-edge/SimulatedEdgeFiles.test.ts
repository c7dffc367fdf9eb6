import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, FileSystem, Schedule, Scope } from "effect"
import { request } from "node:http"
import { Readable } from "node:stream"
import { startEdge } from "./SimulatedEdgeInFolder.ts"

const mebibyte = 1024 * 1024
const octets = { "content-type": "application/octet-stream" }

/** Sends a body as it is read, in chunks; the answer's status and text. */
const stream = (url: string, method: string, type: string, body: Readable) =>
  Effect.callback<{ readonly status: number; readonly text: string }, Error>((resume) => {
    const outgoing = request(url, { method, headers: { "content-type": type } })
    outgoing.on("response", (incoming) => {
      let text = ""
      incoming.setEncoding("utf8").on("data", (part: string) => (text += part))
      incoming.on("end", () => resume(Effect.succeed({ status: incoming.statusCode ?? 0, text })))
    })
    outgoing.on("error", (error) => resume(Effect.fail(error)))
    body.pipe(outgoing)
    return Effect.sync(() => outgoing.destroy())
  })

const filesIn = (folder: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return (yield* fs.readDirectory(folder)).sort()
  })

layer(NodeServices.layer, { excludeTestServices: true })("files of the simulated edge", (it) => {
  it.effect("refuses a body that turns out too large, and keeps nothing of it", () =>
    Effect.gen(function* () {
      const { url, folder } = yield* startEdge({ maxUploadBytes: 3 * mebibyte })
      const body = Readable.from([Buffer.alloc(2 * mebibyte), Buffer.alloc(2 * mebibyte)], {
        objectMode: false
      })
      const { status, text } = yield* stream(`${url}/media`, "POST", "video/mp4", body)
      assert.strictEqual(status, 413)
      assert.include(text, "payload_too_large")
      assert.deepStrictEqual(yield* filesIn(`${folder}/media`), [])
    })
  )

  it.effect("keeps nothing of an upload that breaks off", () =>
    Effect.gen(function* () {
      const { url, folder, http } = yield* startEdge()
      const body = new Readable({ read() {} })
      body.push(Buffer.alloc(mebibyte))
      const upload = yield* Effect.forkScoped(stream(`${url}/media`, "POST", "video/mp4", body))
      const until = (condition: (names: ReadonlyArray<string>) => boolean) =>
        filesIn(`${folder}/media`).pipe(
          Effect.repeat({ until: condition, schedule: Schedule.spaced("20 millis") }),
          Effect.timeout("10 seconds")
        )
      yield* until((names) => names.length === 1)
      upload.interruptUnsafe()
      yield* until((names) => names.length === 0)
      const list = yield* http.ask({ method: "GET", path: "/media" })
      assert.include(Buffer.from(list.body).toString(), `"items":[]`)
    })
  )

  it.effect("has its files again after it was started anew, and sweeps away what was half done", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped({ prefix: "simulated-edge-" })
      const first = yield* Scope.make()
      const before = yield* Scope.provide(startEdge({ folder }), first)
      const image = { "content-type": "image/png" }
      yield* before.http.ask({ method: "POST", path: "/media?name=one.png", headers: image, body: "one" })
      const kept = yield* before.http.ask({ method: "GET", path: "/media" })
      yield* Scope.close(first, Exit.void)

      const names = yield* filesIn(`${folder}/media`)
      yield* fs.writeFileString(`${folder}/media/left.part`, "half")
      yield* fs.writeFileString(`${folder}/media/left.bin`, "no record")
      yield* fs.writeFileString(`${folder}/media/left.json`, `{"details":{`)
      const after = yield* startEdge({ folder })
      const again = yield* after.http.ask({ method: "GET", path: "/media" })
      assert.strictEqual(Buffer.from(again.body).toString(), Buffer.from(kept.body).toString())
      assert.deepStrictEqual(yield* filesIn(`${folder}/media`), names)
    })
  )

  it.effect("replaces a model whole, leaving one file", () =>
    Effect.gen(function* () {
      const { http, folder } = yield* startEdge()
      const before = (yield* filesIn(`${folder}/models`)).length
      const put = (body: string) => http.ask({ method: "PUT", path: "/models/m", headers: octets, body })
      assert.strictEqual((yield* put("first")).status, 201)
      const statuses = yield* Effect.forEach(["a", "b", "c", "d"], put, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        statuses.map(({ status }) => status),
        [200, 200, 200, 200]
      )
      const file = yield* http.ask({
        method: "GET",
        path: "/models/m",
        headers: { accept: octets["content-type"] }
      })
      assert.match(Buffer.from(file.body).toString(), /^[abcd]$/)
      assert.strictEqual((yield* filesIn(`${folder}/models`)).length, before + 2)
    })
  )

  it.effect("answers a client that has the file by 304, and one that resumes another by the whole", () =>
    Effect.gen(function* () {
      const { http } = yield* startEdge()
      yield* http.ask({ method: "PUT", path: "/models/m", headers: octets, body: "0123456789" })
      const get = (headers: Readonly<Record<string, string>>) =>
        http.ask({
          method: "GET",
          path: "/models/m",
          headers: { accept: octets["content-type"], ...headers }
        })
      const etag = (yield* get({})).headers["etag"] ?? ""
      assert.strictEqual((yield* get({ "if-none-match": etag })).status, 304)
      assert.strictEqual((yield* get({ range: "bytes=2-3", "if-range": etag })).status, 206)
      assert.strictEqual((yield* get({ range: "bytes=2-3", "if-range": `"other"` })).status, 200)
      for (const range of ["bytes=0-1,4-5", "bytes=5-2", "lines=1-2", "bytes=-"]) {
        assert.strictEqual((yield* get({ range })).body.length, 10, range)
      }
    })
  )
})
