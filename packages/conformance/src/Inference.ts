import { Device, DeviceScan } from "@edge-relay/domain/edge-api/Devices"
import {
  ImageInference,
  InferenceEvent,
  InferenceMessage,
  InferenceStatus,
  maxImageBytes
} from "@edge-relay/domain/edge-api/Inference"
import { Effect, Schema, Stream } from "effect"
import { ConformanceClient } from "./EdgeClient.ts"
import { decode, events, expect, json, problem, within } from "./Expectations.ts"
import { sampleImage } from "./Contract.ts"
import { ConformanceReport } from "./Report.ts"

/** Results to wait for on a stream. */
const wantedResults = 3

export const checkInference = Effect.fn("checkInference")(function* () {
  const client = yield* ConformanceClient
  const { check, skip } = yield* ConformanceReport

  const scan = yield* Effect.option(
    Effect.flatMap(client.ask({ method: "POST", path: "/devices/scan" }), (answer) =>
      json(answer, 200, DeviceScan)
    )
  )
  const devices = scan._tag === "Some" ? scan.value.items : []
  const device = devices.find(({ state, modelId }) => modelId !== null && state !== "flashing")
  if (device === undefined) {
    for (const name of ["start", "stop", "events", "socket", "infer"]) {
      yield* skip(`inference.${name}`, name, "no device has a model: flash one first")
    }
    return
  }
  const path = `/devices/${device.id}`
  const post = (name: string) => client.ask({ method: "POST", path: `${path}/inference/${name}` })
  if (device.state === "disconnected")
    yield* Effect.ignore(client.ask({ method: "POST", path: `${path}/connect` }))

  yield* check(
    "inference.start",
    "starts with an empty body, and again without effect",
    Effect.gen(function* () {
      const first = yield* json(yield* post("start"), 200, InferenceStatus)
      yield* expect(first.running && first.startedAt !== null, "it does not run")
      const second = yield* json(yield* post("start"), 200, InferenceStatus)
      yield* expect(String(second.startedAt) === String(first.startedAt), "it was started anew")
      const { state } = yield* json(yield* client.ask({ method: "GET", path }), 200, Device)
      yield* expect(state === "inferring", `the device's state is ${state}`)
    })
  )
  yield* check(
    "inference.events",
    "tells the status first, then results in order",
    Effect.gen(function* () {
      const answer = yield* client.open({ method: "GET", path: `${path}/inference/events` })
      const stream = yield* events(answer, InferenceEvent)
      const some = yield* within(Stream.runCollect(Stream.take(stream, 1 + wantedResults)), "a result")
      yield* inOrder(some.map((event) => (event.event === "status" ? null : event.data.sequence)))
    }).pipe(Effect.scoped)
  )
  yield* check(
    "inference.socket",
    "tells the same over a WebSocket",
    Effect.gen(function* () {
      const decodeMessage = (text: string) =>
        decode(Schema.fromJsonString(Schema.toCodecJson(InferenceMessage)), text)
      const stream = Stream.mapEffect(client.messages(`${path}/inference/socket`), decodeMessage)
      const some = yield* within(Stream.runCollect(Stream.take(stream, 1 + wantedResults)), "a result")
      yield* inOrder(some.map((message) => (message.type === "status" ? null : message.result.sequence)))
    })
  )
  yield* check(
    "inference.socket",
    "answers 426 to a plain request",
    Effect.flatMap(client.ask({ method: "GET", path: `${path}/inference/socket` }), (answer) =>
      problem(answer, "upgrade_required")
    )
  )
  yield* checkInfer(path)

  if (device.state === "inferring") {
    return yield* skip("inference.stop", "stops", "it was running before, and goes on")
  }
  yield* check(
    "inference.stop",
    "stops, and again without effect",
    Effect.gen(function* () {
      for (const _ of [1, 2]) {
        const { running } = yield* json(yield* post("stop"), 200, InferenceStatus)
        yield* expect(!running, "it still runs")
      }
    })
  )
  if (device.state === "disconnected")
    yield* Effect.ignore(client.ask({ method: "POST", path: `${path}/disconnect` }))
})

/** `null` stands for a status. */
const inOrder = Effect.fnUntraced(function* (sequences: ReadonlyArray<number | null>) {
  yield* expect(sequences[0] === null, "the first is not a status")
  const results = sequences.filter((sequence) => sequence !== null)
  yield* expect(results.length > 0, "no result came")
  yield* expect(
    results.every((sequence, at) => at === 0 || sequence > (results[at - 1] ?? 0)),
    `sequences are not rising: ${results.join(", ")}`
  )
})

const checkInfer = Effect.fnUntraced(function* (device: string) {
  const client = yield* ConformanceClient
  const { check } = yield* ConformanceReport
  const path = `${device}/infer`
  const infer = (body: Uint8Array, type: string) =>
    client.ask({ method: "POST", path, headers: { "content-type": type }, body })

  yield* check(
    "inference.infer",
    "takes an image and tells what it sees",
    Effect.gen(function* () {
      const { image } = yield* json(yield* infer(sampleImage, "image/jpeg"), 200, ImageInference)
      yield* expect(
        image.width === 32 && image.height === 16,
        `a 32 × 16 image became ${image.width} × ${image.height}`
      )
    })
  )
  yield* check(
    "inference.infer",
    "refuses what is not an image",
    Effect.flatMap(infer(new Uint8Array(100), "image/jpeg"), (answer) => problem(answer, "invalid_request"))
  )
  yield* check(
    "inference.infer",
    "refuses another content type",
    Effect.flatMap(infer(sampleImage, "text/plain"), (answer) => problem(answer, "unsupported_media_type"))
  )
  yield* check(
    "inference.infer",
    "refuses more than 20 MiB",
    Effect.flatMap(
      client.announce({ method: "POST", path, headers: { "content-type": "image/jpeg" } }, maxImageBytes + 1),
      (answer) => problem(answer, "payload_too_large")
    )
  )
})
