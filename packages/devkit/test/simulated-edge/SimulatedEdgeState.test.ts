import { Accelerators } from "@edge-relay/devkit/simulated-edge/devices/Accelerators"
import { Cameras } from "@edge-relay/devkit/simulated-edge/cameras/Cameras"
import { drawText } from "@edge-relay/devkit/simulated-edge/cameras/BitmapFont"
import {
  flashAt,
  failureAskedFor,
  type FlashRecord
} from "@edge-relay/devkit/simulated-edge/devices/FlashPlan"
import { imageSize } from "@edge-relay/conformance/ImageSize"
import { InferenceRuns } from "@edge-relay/devkit/simulated-edge/devices/InferenceRuns"
import { encodeJpeg } from "@edge-relay/conformance/JpegEncoder"
import { CameraId } from "@edge-relay/domain/edge-api/Cameras"
import { DeviceId } from "@edge-relay/domain/edge-api/Devices"
import { FlashStage } from "@edge-relay/domain/edge-api/Firmware"
import { ModelId } from "@edge-relay/domain/edge-api/Models"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const device = DeviceId.make("accel-0")
const modelId = ModelId.make("model")

const State = InferenceRuns.layer.pipe(
  Layer.provideMerge(Layer.merge(Accelerators.layer({ modelId, speed: 1 }), Cameras.layer))
)

describe("InferenceRuns", () => {
  it.effect("gives a slow reader the newest result, and never one that waited", () =>
    Effect.gen(function* () {
      const runs = yield* InferenceRuns
      yield* runs.start(device, null)
      const pull = yield* Stream.toPull(yield* runs.messages(device))
      const status = yield* pull
      assert.strictEqual(status[0].type, "status")
      const sequences: Array<number> = []
      for (let at = 0; at < 5; at++) {
        yield* TestClock.adjust("1 second")
        for (const message of yield* pull) {
          if (message.type === "result") sequences.push(message.result.sequence)
        }
      }
      // A result or two may wait between the maker and the reader, and no more.
      assert.isBelow(sequences.length, 10)
      assert.isAtLeast(sequences.at(-1) ?? 0, 60)
    }).pipe(Effect.provide(State))
  )
})

describe("Cameras", () => {
  const camera = CameraId.make("camera-0")

  it.effect("draws a frame once for all who ask within its time", () =>
    Effect.gen(function* () {
      const cameras = yield* Cameras
      const first = yield* cameras.snapshot(camera)
      assert.strictEqual(yield* cameras.snapshot(camera), first)
      yield* TestClock.adjust("100 millis")
      assert.notStrictEqual(yield* cameras.snapshot(camera), first)
    }).pipe(Effect.provide(Cameras.layer))
  )

  it.effect("gives a slow reader the newest frame", () =>
    Effect.gen(function* () {
      const cameras = yield* Cameras
      const pull = yield* Stream.toPull(yield* cameras.frames(camera))
      yield* TestClock.adjust("1 second")
      yield* pull
      yield* TestClock.adjust("10 seconds")
      const [frame] = yield* pull
      assert.strictEqual(frame, yield* cameras.snapshot(camera))
    }).pipe(Effect.provide(Cameras.layer))
  )
})

describe("flashAt", () => {
  const record: FlashRecord = { id: "flash", modelId, startedAt: 1_000, failsAt: null, brokenOff: null }

  it.effect.prop(
    "never lets the percent fall, and once ended stays as it is",
    {
      failsAt: Schema.NullOr(FlashStage),
      times: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20_000 })))
    },
    ({ failsAt, times }) =>
      Effect.sync(() => {
        const seen = [...times]
          .sort((a, b) => a - b)
          .map((time) => flashAt(device, { ...record, failsAt }, 1, 1_000 + time))
        seen.forEach((flash, at) => {
          const before = seen[at - 1]
          if (before === undefined) return
          assert.isAtLeast(flash.percent, before.percent)
          if (before.state !== "running") assert.deepStrictEqual(flash, before)
        })
        const last = flashAt(device, { ...record, failsAt }, 1, 30_000)
        assert.strictEqual(last.state, failsAt === null || failsAt === "done" ? "succeeded" : "failed")
      })
  )

  it("finds the stage to fail at in the id or the name", () => {
    assert.strictEqual(failureAskedFor({ id: "fail-at-writing", name: "x" }), "writing")
    assert.strictEqual(failureAskedFor({ id: "x", name: "will fail-at-erasing" }), "erasing")
    assert.isNull(failureAskedFor({ id: "fail-at-lunch", name: "done" }))
  })
})

describe("encodeJpeg", () => {
  for (const [width, height] of [
    [1, 1],
    [16, 16],
    [17, 33],
    [320, 180]
  ] as const) {
    it(`makes ${width} × ${height} pixels a whole JPEG`, () => {
      const rgb = Uint8Array.from({ length: width * height * 3 }, (_, at) => (at * 7919) & 255)
      const jpeg = encodeJpeg({ width, height, rgb }, 90)
      assert.deepStrictEqual(imageSize(jpeg), { width, height })
      assert.deepStrictEqual([...jpeg.subarray(0, 2), ...jpeg.subarray(-2)], [0xff, 0xd8, 0xff, 0xd9])
      // In the scan, 0xFF is followed by zero but for the end (T.81 B.1.1.5).
      const scan = jpeg.subarray(Buffer.from(jpeg).indexOf(Buffer.of(0xff, 0xda)) + 14, -2)
      scan.forEach((byte, at) => {
        if (byte === 0xff) assert.strictEqual(scan[at + 1], 0)
      })
    })
  }

  it("writes a grey picture as T.81 has it", () => {
    const rgb = new Uint8Array(16 * 16 * 3).fill(128)
    const jpeg = Buffer.from(encodeJpeg({ width: 16, height: 16, rgb }))
    // Six blocks that differ in nothing: luminance 00 1010 each, chrominance 00 00 each, filled up with ones.
    const bits = "001010".repeat(4) + "0000".repeat(2)
    assert.strictEqual(
      jpeg.subarray(-6, -2).toString("hex"),
      Number.parseInt(bits, 2).toString(16).padStart(8, "0")
    )
  })
})

describe("imageSize", () => {
  it("reads a PNG's header", () => {
    const png = Buffer.from("89504e470d0a1a0a0000000d4948445200000280000001680806000000", "hex")
    assert.deepStrictEqual(imageSize(png), { width: 640, height: 360 })
  })

  it.effect.prop("takes any bytes without failing", [Schema.Uint8Array], ([bytes]) =>
    Effect.sync(() => {
      imageSize(bytes)
      imageSize(Buffer.concat([Buffer.of(0xff, 0xd8), bytes]))
      imageSize(
        Buffer.concat([encodeJpeg({ width: 1, height: 1, rgb: new Uint8Array(3) }).subarray(0, 20), bytes])
      )
    })
  )
})

describe("drawText", () => {
  it("draws a colon as two groups of dots", () => {
    const dots: Array<string> = []
    drawText(":", (column, row) => dots.push(`${column},${row}`))
    assert.deepStrictEqual(dots, ["2,2", "2,4"])
  })
})
