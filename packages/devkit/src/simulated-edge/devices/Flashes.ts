/** Flashes models to accelerators, one at a time each. */
import type { DeviceId } from "@edge-relay/domain/edge-api/Devices"
import { Conflict, NotFound } from "@edge-relay/domain/edge-api/EdgeProblem"
import type { Flash } from "@edge-relay/domain/edge-api/Firmware"
import type { ModelId } from "@edge-relay/domain/edge-api/Models"
import { Clock, Context, Effect, Layer, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Accelerators } from "./Accelerators.ts"
import { failureAskedFor } from "./FlashPlan.ts"
import { ModelStore } from "../files/ModelStore.ts"

/** How often progress is told, in milliseconds. */
const stepMillis = 100

export class Flashes extends Context.Service<
  Flashes,
  {
    readonly begin: (id: DeviceId, modelId: ModelId) => Effect.Effect<Flash, NotFound | Conflict>
    readonly last: (id: DeviceId) => Effect.Effect<Flash, NotFound>
    /** The last flash as it stands, then as it goes on; ends with its end. */
    readonly progress: (id: DeviceId) => Effect.Effect<Stream.Stream<Flash>, NotFound>
    /** Whether a model is being written to some device. */
    readonly uses: (modelId: ModelId) => Effect.Effect<boolean>
  }
>()("@edge-relay/devkit/simulated-edge/devices/Flashes") {
  static readonly layer = Layer.effect(
    Flashes,
    Effect.gen(function* () {
      const accelerators = yield* Accelerators
      const models = yield* ModelStore
      const random = yield* SecureRandom.SecureRandom

      const last = Effect.fn("Flashes.last")(function* (id: DeviceId) {
        const accelerator = yield* accelerators.get(id)
        const flash = accelerators.flashOf(accelerator, yield* Clock.currentTimeMillis)
        return flash ?? (yield* new NotFound({ detail: `${id} was never flashed` }))
      })

      const begin = Effect.fn("Flashes.begin")(function* (id: DeviceId, modelId: ModelId) {
        const model = yield* models.get(modelId)
        const flashId = yield* TypeId.make("flash").pipe(
          Effect.provideService(SecureRandom.SecureRandom, random)
        )
        yield* accelerators.update(id, (current, now) => {
          if (!current.connected) return Effect.fail(new Conflict({ detail: `${id} is not connected` }))
          if (current.inference !== null) return Effect.fail(new Conflict({ detail: `${id} is inferring` }))
          if (accelerators.flashOf(current, now)?.state === "running") {
            return Effect.fail(new Conflict({ detail: `${id} is being flashed already` }))
          }
          return Effect.succeed({
            ...current,
            modelBefore: accelerators.modelOf(current, now),
            flash: {
              id: flashId,
              modelId,
              startedAt: now,
              failsAt: failureAskedFor(model),
              brokenOff: null
            }
          })
        })
        return yield* last(id)
      })

      const progress = Effect.fn("Flashes.progress")(function* (id: DeviceId) {
        const first = yield* last(id)
        return Stream.concat(
          Stream.succeed(first),
          Stream.fromEffectRepeat(
            Effect.delay(last(id), stepMillis).pipe(
              // A device that is known stays known.
              Effect.orDie
            )
          )
        ).pipe(
          Stream.takeUntil((flash) => flash.state !== "running" || flash.id !== first.id),
          Stream.filter((flash) => flash.id === first.id),
          Stream.changesWith((a, b) => a.percent === b.percent && a.stage === b.stage && a.state === b.state)
        )
      })

      const uses = Effect.fn("Flashes.uses")(function* (modelId: ModelId) {
        const devices = yield* accelerators.list
        const flashes = yield* Effect.forEach(devices, ({ id }) => Effect.option(last(id)))
        return flashes.some(
          (flash) =>
            flash._tag === "Some" && flash.value.state === "running" && flash.value.modelId === modelId
        )
      })

      return Flashes.of({ begin, last, progress, uses })
    })
  )
}
