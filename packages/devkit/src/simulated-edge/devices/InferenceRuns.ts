/**
 * Inference on the accelerators, 30 results a second. A result is worked out when a reader takes it, so a slow
 * reader skips those it had no time for and costs no memory; what it does get is new.
 */
import type { CameraId } from "@edge-relay/domain/edge-api/Cameras"
import type { DeviceId } from "@edge-relay/domain/edge-api/Devices"
import { Conflict, type NotFound } from "@edge-relay/domain/edge-api/EdgeProblem"
import type {
  Detection,
  InferenceMessage,
  InferenceResult,
  InferenceStatus
} from "@edge-relay/domain/edge-api/Inference"
import type { ModelId } from "@edge-relay/domain/edge-api/Models"
import { Clock, Context, DateTime, Effect, Layer, Random, Ref, Stream } from "effect"
import { Accelerators, type Accelerator } from "./Accelerators.ts"
import { Cameras } from "../cameras/Cameras.ts"
import { sceneAt } from "../cameras/Scene.ts"

export const resultsPerSecond = 30

export class InferenceRuns extends Context.Service<
  InferenceRuns,
  {
    /** `null` leaves the choice of camera to the edge. */
    readonly start: (
      id: DeviceId,
      cameraId: CameraId | null
    ) => Effect.Effect<InferenceStatus, NotFound | Conflict>
    readonly stop: (id: DeviceId) => Effect.Effect<InferenceStatus, NotFound>
    /** The status, its changes, and while inference runs its results. Ends never. */
    readonly messages: (id: DeviceId) => Effect.Effect<Stream.Stream<InferenceMessage>, NotFound>
    /** What a device sees in one image. */
    readonly infer: (id: DeviceId) => Effect.Effect<
      {
        readonly modelId: ModelId
        readonly latencyMillis: number
        readonly detections: ReadonlyArray<Detection>
      },
      NotFound | Conflict
    >
  }
>()("@edge-relay/devkit/simulated-edge/devices/InferenceRuns") {
  static readonly layer = Layer.effect(
    InferenceRuns,
    Effect.gen(function* () {
      const accelerators = yield* Accelerators
      const cameras = yield* Cameras

      const ready = (accelerator: Accelerator, now: number): Effect.Effect<ModelId, Conflict> => {
        const modelId = accelerators.modelOf(accelerator, now)
        if (accelerators.flashOf(accelerator, now)?.state === "running") {
          return Effect.fail(new Conflict({ detail: `${accelerator.id} is being flashed` }))
        }
        if (!accelerator.connected) {
          return Effect.fail(new Conflict({ detail: `${accelerator.id} is not connected` }))
        }
        return modelId === null
          ? Effect.fail(new Conflict({ detail: `${accelerator.id} has no model: flash one first` }))
          : Effect.succeed(modelId)
      }

      const statusOf = (accelerator: Accelerator, now: number): InferenceStatus => ({
        deviceId: accelerator.id,
        running: accelerator.inference !== null,
        modelId: accelerators.modelOf(accelerator, now),
        cameraId: accelerator.inference?.cameraId ?? null,
        startedAt:
          accelerator.inference === null ? null : DateTime.makeUnsafe(accelerator.inference.startedAt)
      })

      const status = (accelerator: Accelerator) =>
        Effect.map(Clock.currentTimeMillis, (now) => statusOf(accelerator, now))

      const start = Effect.fn("InferenceRuns.start")(function* (id: DeviceId, cameraId: CameraId | null) {
        const camera = yield* cameras.choose(cameraId)
        const next = yield* accelerators.update(id, (current, now) =>
          Effect.map(ready(current, now), (modelId) =>
            current.inference === null
              ? { ...current, inference: { cameraId: camera.id, modelId, startedAt: now } }
              : current
          )
        )
        return yield* status(next)
      })

      const stop = Effect.fn("InferenceRuns.stop")(function* (id: DeviceId) {
        return yield* status(
          yield* accelerators.update(id, (current) => Effect.succeed({ ...current, inference: null }))
        )
      })

      const messages = Effect.fn("InferenceRuns.messages")(function* (id: DeviceId) {
        yield* accelerators.get(id)
        return accelerators.changes(id).pipe(
          Stream.switchMap(
            (accelerator) => {
              const told = Stream.fromEffect(
                Effect.map(status(accelerator), (status): InferenceMessage => ({ type: "status", status }))
              )
              if (accelerator.inference === null) return told
              const { modelId, startedAt } = accelerator.inference
              const results = Stream.map(resultsOf(id, modelId, startedAt), (result): InferenceMessage => ({
                type: "result",
                result
              }))
              return Stream.concat(told, results)
            },
            { bufferSize: 1 }
          )
        )
      })

      const infer = Effect.fn("InferenceRuns.infer")(function* (id: DeviceId) {
        const accelerator = yield* accelerators.get(id)
        const modelId = yield* ready(accelerator, yield* Clock.currentTimeMillis)
        const latencyMillis = yield* Random.nextIntBetween(6, 14)
        yield* Effect.sleep(latencyMillis)
        return { modelId, latencyMillis, detections: yield* detect(yield* Clock.currentTimeMillis) }
      })

      return InferenceRuns.of({ start, stop, messages, infer })
    })
  )
}

/** Each time it is pulled, the next result or, where the reader is late, the newest. */
const resultsOf = (deviceId: DeviceId, modelId: ModelId, startedAt: number): Stream.Stream<InferenceResult> =>
  Stream.unwrap(
    Effect.map(Ref.make(0), (last) =>
      Stream.fromEffectRepeat(
        Effect.gen(function* () {
          const next = (yield* Ref.get(last)) + 1
          const now = yield* Clock.currentTimeMillis
          const due = startedAt + Math.ceil((next * 1000) / resultsPerSecond)
          if (due > now) yield* Effect.sleep(due - now)
          const at = yield* Clock.currentTimeMillis
          const sequence = Math.max(next, Math.floor(((at - startedAt) * resultsPerSecond) / 1000))
          yield* Ref.set(last, sequence)
          return {
            deviceId,
            modelId,
            sequence,
            at: DateTime.makeUnsafe(at),
            latencyMillis: yield* Random.nextIntBetween(6, 14),
            detections: yield* detect(at)
          }
        })
      )
    )
  )

const detect = (millis: number): Effect.Effect<ReadonlyArray<Detection>> =>
  Effect.forEach(sceneAt(millis), ({ label, box }) =>
    Effect.map(Random.nextBetween(0.82, 0.98), (score) => ({
      label,
      score: Math.round(score * 1000) / 1000,
      box
    }))
  )
