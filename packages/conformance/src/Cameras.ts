import { Camera } from "@edge-relay/domain/edge-api/Cameras"
import { Effect, Stream } from "effect"
import { ConformanceClient } from "./EdgeClient.ts"
import { contentType, expect, jpeg, json, problem, status, within } from "./Expectations.ts"
import { checkList } from "./Lists.ts"
import { ConformanceReport, Differs } from "./Report.ts"

/** Parts of a stream to look at. */
const wantedParts = 3

export const checkCameras = Effect.fn("checkCameras")(function* (destructive: boolean) {
  const client = yield* ConformanceClient
  const { check, skip } = yield* ConformanceReport

  const cameras = yield* checkList("cameras.list", "/cameras", Camera)
  // One that is stopped may be started and stopped again with no harm.
  const camera = cameras.find(({ running }) => !running) ?? cameras[0]
  if (camera === undefined) {
    for (const name of ["start", "stop", "snapshot", "stream"]) {
      yield* skip(`cameras.${name}`, name, "there is no camera")
    }
    return
  }
  const path = `/cameras/${camera.id}`
  const get = (name: string) => client.ask({ method: "GET", path: `${path}/${name}` })
  const turn = (name: "start" | "stop") =>
    Effect.gen(function* () {
      for (const _ of [1, 2]) {
        const { running } = yield* json(
          yield* client.ask({ method: "POST", path: `${path}/${name}` }),
          200,
          Camera
        )
        yield* expect(running === (name === "start"), running ? "it runs" : "it does not run")
      }
    })

  yield* check("cameras.start", "starts, and again without effect", turn("start"))
  yield* check(
    "cameras.snapshot",
    "gives a whole JPEG of the camera's size",
    Effect.gen(function* () {
      const answer = yield* get("snapshot")
      yield* status(answer, 200)
      yield* contentType(answer, "image/jpeg")
      const { width, height } = yield* jpeg(answer.body)
      yield* expect(
        width === camera.width && height === camera.height,
        `the camera has ${camera.width} × ${camera.height}, the picture ${width} × ${height}`
      )
    })
  )
  yield* check(
    "cameras.stream",
    "streams whole JPEGs, framed as multipart",
    Effect.gen(function* () {
      const answer = yield* client.open({ method: "GET", path: `${path}/stream` })
      yield* status(answer, 200)
      yield* contentType(answer, "multipart/x-mixed-replace")
      const boundary = /;\s*boundary="?([^";]+)"?/i.exec(answer.headers["content-type"] ?? "")?.[1]
      if (boundary === undefined) return yield* new Differs({ message: "the content type names no boundary" })
      yield* within(readParts(answer.bytes, boundary), `${wantedParts} parts`)
    }).pipe(Effect.scoped)
  )
  if (camera.running && !destructive) {
    return yield* skip("cameras.stop", "stops", "every camera runs; only with --destructive")
  }
  yield* check("cameras.stop", "stops, and again without effect", turn("stop"))
  for (const name of ["snapshot", "stream"]) {
    yield* check(
      `cameras.${name}`,
      "answers 409 while the camera is stopped",
      Effect.flatMap(get(name), (answer) => problem(answer, "conflict"))
    )
  }
  if (camera.running) yield* Effect.ignore(turn("start"))
})

/** Parts as RFC 2046 §5.1 frames them: the boundary, a header with its length, that many bytes, a line's end. */
const readParts = Effect.fnUntraced(function* (bytes: Stream.Stream<Uint8Array, Differs>, boundary: string) {
  let held = Buffer.alloc(0)
  let parts = 0
  yield* bytes.pipe(
    Stream.mapEffect(
      Effect.fnUntraced(function* (chunk) {
        held = Buffer.concat([held, chunk])
        for (let end = held.indexOf("\r\n\r\n"); end >= 0; end = held.indexOf("\r\n\r\n")) {
          const lines = held.subarray(0, end).toString("latin1").replace(/^\r\n/, "").split("\r\n")
          yield* expect(lines[0] === `--${boundary}`, `expected --${boundary}, got ${lines[0]?.slice(0, 80)}`)
          const header = new Map(lines.slice(1).map((line) => [line.split(":")[0]?.toLowerCase(), line]))
          const type = header.get("content-type") ?? "no content type"
          yield* expect(/:\s*image\/jpeg$/i.test(type), `a part has ${type}`)
          const length = Number(/:\s*(\d+)$/.exec(header.get("content-length") ?? "")?.[1] ?? Number.NaN)
          yield* expect(Number.isInteger(length), "a part has no Content-Length")
          const from = end + 4
          if (held.length < from + length + 2) return
          yield* jpeg(held.subarray(from, from + length))
          yield* expect(
            held.subarray(from + length, from + length + 2).equals(lineEnd),
            "a part is longer than it says"
          )
          held = held.subarray(from + length)
          parts++
        }
      })
    ),
    Stream.takeUntil(() => parts >= wantedParts),
    Stream.runDrain
  )
  yield* expect(parts >= wantedParts, `the stream ended after ${parts} parts`)
})

const lineEnd = Buffer.from("\r\n")
