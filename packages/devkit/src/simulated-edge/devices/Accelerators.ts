/**
 * The two accelerators of the simulated edge. One is known and connected from the start, the other is found by the
 * first scan. What takes time (a flash, inference) is kept as when it began, and read off the clock.
 */
import type { CameraId } from "@edge-relay/domain/edge-api/Cameras"
import { type Device, DeviceId, type DeviceState } from "@edge-relay/domain/edge-api/Devices"
import type { Flash } from "@edge-relay/domain/edge-api/Firmware"
import { Conflict, NotFound } from "@edge-relay/domain/edge-api/EdgeProblem"
import type { ModelId } from "@edge-relay/domain/edge-api/Models"
import { Clock, Context, DateTime, Effect, Layer, Stream, SubscriptionRef } from "effect"
import { flashAt, type FlashRecord } from "./FlashPlan.ts"

export interface Accelerator {
  readonly id: DeviceId
  readonly serial: string
  readonly bus: string
  readonly known: boolean
  readonly connected: boolean
  /** What it ran before `flash`, if that has not succeeded. */
  readonly modelBefore: ModelId | null
  readonly flash: FlashRecord | null
  readonly inference: {
    readonly cameraId: CameraId
    readonly modelId: ModelId
    readonly startedAt: number
  } | null
}

export interface AcceleratorsOptions {
  /** What the first accelerator is flashed with at the start. */
  readonly modelId: ModelId
  /** Divides how long a scan and a flash take. */
  readonly speed: number
}

/** How long a scan takes, in milliseconds. */
const scanMillis = 700

export class Accelerators extends Context.Service<
  Accelerators,
  {
    readonly speed: number
    readonly list: Effect.Effect<ReadonlyArray<Device>>
    readonly scan: Effect.Effect<{
      readonly found: ReadonlyArray<DeviceId>
      readonly items: ReadonlyArray<Device>
    }>
    readonly get: (id: DeviceId) => Effect.Effect<Accelerator, NotFound>
    readonly describe: (id: DeviceId) => Effect.Effect<Device, NotFound>
    readonly connect: (id: DeviceId) => Effect.Effect<Device, NotFound>
    readonly disconnect: (id: DeviceId) => Effect.Effect<Device, NotFound | Conflict>
    /** Changes one, or fails; `now` is the moment of the change. */
    readonly update: <E>(
      id: DeviceId,
      change: (current: Accelerator, now: number) => Effect.Effect<Accelerator, E>
    ) => Effect.Effect<Accelerator, E | NotFound>
    /** One as it is and after every change. Ends never. */
    readonly changes: (id: DeviceId) => Stream.Stream<Accelerator>
    /** How a device's last flash stands. */
    readonly flashOf: (accelerator: Accelerator, now: number) => Flash | null
    readonly modelOf: (accelerator: Accelerator, now: number) => ModelId | null
    /** Ends what runs, as a restart of the machine does. */
    readonly reset: Effect.Effect<void>
  }
>()("@edge-relay/devkit/simulated-edge/devices/Accelerators") {
  static readonly layer = (options: AcceleratorsOptions) =>
    Layer.effect(
      Accelerators,
      Effect.gen(function* () {
        const { speed } = options
        const state = yield* SubscriptionRef.make<ReadonlyArray<Accelerator>>(initial(options.modelId))

        const flashOf = (accelerator: Accelerator, now: number) =>
          accelerator.flash === null ? null : flashAt(accelerator.id, accelerator.flash, speed, now)

        const modelOf = (accelerator: Accelerator, now: number) => {
          const flash = flashOf(accelerator, now)
          return flash?.state === "succeeded" ? flash.modelId : accelerator.modelBefore
        }

        const toDevice = (accelerator: Accelerator, now: number): Device => ({
          id: accelerator.id,
          name: `Accelerator ${accelerator.id.slice(-1)}`,
          vendor: "Edge Relay",
          model: "Simulated NPU 8",
          serial: accelerator.serial,
          bus: accelerator.bus,
          firmwareVersion: "2.4.1",
          state: stateOf(accelerator, flashOf(accelerator, now)),
          modelId: modelOf(accelerator, now),
          lastSeenAt: DateTime.makeUnsafe(now)
        })

        const list = Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          const all = yield* SubscriptionRef.get(state)
          return all.filter(({ known }) => known).map((accelerator) => toDevice(accelerator, now))
        })

        const get = Effect.fn("Accelerators.get")(function* (id: DeviceId) {
          return yield* find(yield* SubscriptionRef.get(state), id)
        })

        const update = <E>(
          id: DeviceId,
          change: (current: Accelerator, now: number) => Effect.Effect<Accelerator, E>
        ) =>
          SubscriptionRef.modifyEffect(state, (all) =>
            Effect.gen(function* () {
              const current = yield* find(all, id)
              const next = yield* change(current, yield* Clock.currentTimeMillis)
              return [next, all.map((each) => (each === current ? next : each))] as const
            })
          )

        const updateAndDescribe = <E>(
          id: DeviceId,
          change: (current: Accelerator, now: number) => Effect.Effect<Accelerator, E>
        ) => Effect.zipWith(update(id, change), Clock.currentTimeMillis, toDevice)

        const scan = Effect.gen(function* () {
          yield* Effect.sleep(scanMillis / speed)
          const found = yield* SubscriptionRef.modify(state, (all) => [
            all.filter(({ known }) => !known).map(({ id }) => id),
            all.map((each) => ({ ...each, known: true }))
          ])
          return { found, items: yield* list }
        })

        return Accelerators.of({
          speed,
          list,
          scan,
          get,
          update,
          flashOf,
          modelOf,
          describe: Effect.fn("Accelerators.describe")(function* (id) {
            return toDevice(yield* get(id), yield* Clock.currentTimeMillis)
          }),
          connect: Effect.fn("Accelerators.connect")((id) =>
            updateAndDescribe(id, (current) => Effect.succeed({ ...current, connected: true }))
          ),
          disconnect: Effect.fn("Accelerators.disconnect")((id) =>
            updateAndDescribe(id, (current, now) =>
              flashOf(current, now)?.state === "running"
                ? Effect.fail(new Conflict({ detail: `${id} is being flashed` }))
                : Effect.succeed({ ...current, connected: false, inference: null })
            )
          ),
          changes: (id) =>
            SubscriptionRef.changes(state).pipe(
              Stream.flatMap((all) => Stream.fromIterable(all.filter((each) => each.id === id))),
              Stream.changesWith((a, b) => a === b)
            ),
          reset: Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            yield* SubscriptionRef.update(state, (all) =>
              all.map((each) => ({ ...each, connected: false, inference: null, flash: breakOff(each, now) }))
            )
          })
        })

        function breakOff(accelerator: Accelerator, now: number): FlashRecord | null {
          if (accelerator.flash === null || flashOf(accelerator, now)?.state !== "running")
            return accelerator.flash
          return { ...accelerator.flash, brokenOff: { at: now, error: "the edge was restarted" } }
        }
      })
    )
}

const initial = (modelId: ModelId): ReadonlyArray<Accelerator> => [
  {
    id: DeviceId.make("accel-0"),
    serial: "SIM-0001",
    bus: "pcie-0000:01:00.0",
    known: true,
    connected: true,
    modelBefore: modelId,
    flash: null,
    inference: null
  },
  {
    id: DeviceId.make("accel-1"),
    serial: "SIM-0002",
    bus: "usb-2-1",
    known: false,
    connected: false,
    modelBefore: null,
    flash: null,
    inference: null
  }
]

const find = (all: ReadonlyArray<Accelerator>, id: DeviceId): Effect.Effect<Accelerator, NotFound> => {
  const accelerator = all.find((each) => each.id === id)
  return accelerator?.known
    ? Effect.succeed(accelerator)
    : Effect.fail(new NotFound({ detail: `there is no device ${id}` }))
}

const stateOf = (accelerator: Accelerator, flash: Flash | null): DeviceState => {
  if (flash?.state === "running") return "flashing"
  if (accelerator.inference !== null) return "inferring"
  return accelerator.connected ? "connected" : "disconnected"
}
