/** Media and models: what is uploaded comes back, whole and in ranges, and is gone once removed. */
import { maxMediaBytes, Media } from "@edge-relay/domain/edge-api/Media"
import { maxModelBytes, Model } from "@edge-relay/domain/edge-api/Models"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { type Answer, ConformanceClient } from "./EdgeClient.ts"
import { sampleImage } from "./Contract.ts"
import { contentType, empty, expect, json, problem, status } from "./Expectations.ts"
import { checkList } from "./Lists.ts"
import { ConformanceReport } from "./Report.ts"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

export const checkMedia = Effect.fn("checkMedia")(function* () {
  const client = yield* ConformanceClient
  const { check, skip } = yield* ConformanceReport
  const upload = (type: string, query = "") =>
    client.ask({
      method: "POST",
      path: `/media${query}`,
      headers: { "content-type": type },
      body: sampleImage
    })

  const media = yield* check(
    "media.upload",
    "keeps an image",
    Effect.gen(function* () {
      const kept = yield* json(yield* upload("image/jpeg", "?name=conformance.jpg"), 201, Media)
      yield* expect(kept.name === "conformance.jpg", `the name is ${kept.name}`)
      yield* expect(
        kept.kind === "image" && kept.contentType === "image/jpeg",
        `it is ${kept.kind}, ${kept.contentType}`
      )
      yield* expect(
        kept.sizeBytes === sampleImage.length,
        `of ${sampleImage.length} bytes it has ${kept.sizeBytes}`
      )
      yield* expect(kept.sha256 === sha256(sampleImage), "its sha256 is of other bytes")
      return kept
    })
  )
  yield* check(
    "media.upload",
    "refuses what is neither image nor video",
    Effect.flatMap(upload("text/plain"), (answer) => problem(answer, "unsupported_media_type"))
  )
  yield* check(
    "media.upload",
    "refuses more than 2 GiB",
    Effect.flatMap(
      client.announce(
        { method: "POST", path: "/media", headers: { "content-type": "video/mp4" } },
        maxMediaBytes + 1
      ),
      (answer) => problem(answer, "payload_too_large")
    )
  )
  const all = yield* checkList("media.list", "/media", Media)
  if (media === undefined) {
    yield* skip("media.download", "gives the file back", "nothing could be uploaded")
    return yield* skip("media.remove", "removes", "nothing could be uploaded")
  }
  yield* check(
    "media.list",
    "has what was uploaded",
    expect(
      all.some(({ id }) => id === media.id),
      `no ${media.id}`
    )
  )
  const path = `/media/${media.id}`
  yield* checkDownload("media.download", path, {}, "image/jpeg", sampleImage)
  yield* checkRemove("media.remove", path)
})

export const checkModels = Effect.fn("checkModels")(function* () {
  const client = yield* ConformanceClient
  const { check, skip } = yield* ConformanceReport
  const id = "conformance-model"
  const path = `/models/${id}`
  const bytes = Uint8Array.from({ length: 5000 }, (_, at) => at & 255)
  const put = (query: string, type = "application/octet-stream") =>
    client.ask({ method: "PUT", path: `${path}${query}`, headers: { "content-type": type }, body: bytes })

  // One left over from a run that broke off.
  yield* Effect.ignore(client.ask({ method: "DELETE", path }))
  const model = yield* check(
    "models.upload",
    "keeps a model under the id that it was given",
    Effect.gen(function* () {
      const kept = yield* json(yield* put("?name=Conformance"), 201, Model)
      yield* expect(kept.id === id && kept.name === "Conformance", `it is ${kept.id}, ${kept.name}`)
      yield* expect(kept.sizeBytes === bytes.length, `of ${bytes.length} bytes it has ${kept.sizeBytes}`)
      yield* expect(kept.sha256 === sha256(bytes), "its sha256 is of other bytes")
      return kept
    })
  )
  yield* check(
    "models.upload",
    "replaces it, with 200",
    Effect.flatMap(put(""), (answer) => json(answer, 200, Model))
  )
  yield* check(
    "models.upload",
    "refuses another content type",
    Effect.flatMap(put("", "text/plain"), (answer) => problem(answer, "unsupported_media_type"))
  )
  yield* check(
    "models.upload",
    "refuses more than 2 GiB",
    Effect.flatMap(
      client.announce(
        { method: "PUT", path, headers: { "content-type": "application/octet-stream" } },
        maxModelBytes + 1
      ),
      (answer) => problem(answer, "payload_too_large")
    )
  )
  const all = yield* checkList("models.list", "/models", Model)
  if (model === undefined) {
    yield* skip("models.get", "gives the model back", "nothing could be uploaded")
    return yield* skip("models.remove", "removes", "nothing could be uploaded")
  }
  yield* check(
    "models.list",
    "has what was uploaded",
    expect(
      all.some((each) => each.id === id),
      `no ${id}`
    )
  )
  yield* check(
    "models.get",
    "tells about it in JSON",
    Effect.flatMap(client.ask({ method: "GET", path, headers: { accept: "application/json" } }), (answer) =>
      json(answer, 200, Model)
    )
  )
  const accept = { accept: "application/octet-stream" }
  yield* checkDownload("models.get", path, accept, "application/octet-stream", bytes)
  yield* checkRemove("models.remove", path)
})

const checkDownload = Effect.fnUntraced(function* (
  endpoint: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  type: string,
  bytes: Uint8Array
) {
  const client = yield* ConformanceClient
  const { check } = yield* ConformanceReport
  const get = (range?: string) =>
    client.ask({ method: "GET", path, headers: range === undefined ? headers : { ...headers, range } })
  const isPart = (answer: Answer, from: number, to: number) =>
    expect(
      Buffer.compare(answer.body, bytes.subarray(from, to)) === 0,
      `expected bytes ${from} to ${to - 1}, got ${answer.body.length} bytes that are not those`
    )

  yield* check(
    endpoint,
    "gives the file back, byte for byte",
    Effect.gen(function* () {
      const answer = yield* get()
      yield* status(answer, 200)
      yield* contentType(answer, type)
      yield* isPart(answer, 0, bytes.length)
      yield* expect(answer.headers["etag"] !== undefined, "there is no ETag")
      yield* expect(answer.headers["accept-ranges"] === "bytes", "Accept-Ranges is not bytes")
    })
  )
  for (const [range, from, to] of [
    ["bytes=2-9", 2, 10],
    ["bytes=100-", 100, bytes.length],
    ["bytes=-7", bytes.length - 7, bytes.length]
  ] as const) {
    yield* check(
      endpoint,
      `gives the range ${range}`,
      Effect.gen(function* () {
        const answer = yield* get(range)
        yield* status(answer, 206)
        const wanted = `bytes ${from}-${to - 1}/${bytes.length}`
        const told = answer.headers["content-range"]
        yield* expect(told === wanted, `expected Content-Range ${wanted}, got ${told}`)
        yield* isPart(answer, from, to)
      })
    )
  }
  yield* check(
    endpoint,
    "answers 416 to a range past the end",
    Effect.gen(function* () {
      const answer = yield* get(`bytes=${bytes.length}-`)
      yield* problem(answer, "range_not_satisfiable")
      const told = answer.headers["content-range"]
      yield* expect(
        told === `bytes */${bytes.length}`,
        `expected Content-Range bytes */${bytes.length}, got ${told}`
      )
    })
  )
})

const checkRemove = Effect.fnUntraced(function* (endpoint: string, path: string) {
  const client = yield* ConformanceClient
  const { check } = yield* ConformanceReport
  yield* check(
    endpoint,
    "removes it, once",
    Effect.gen(function* () {
      yield* empty(yield* client.ask({ method: "DELETE", path }), 204)
      yield* problem(yield* client.ask({ method: "GET", path }), "not_found")
      yield* problem(yield* client.ask({ method: "DELETE", path }), "not_found")
    })
  )
})
