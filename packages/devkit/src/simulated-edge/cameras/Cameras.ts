/** The simulated cameras. A frame is drawn when somebody asks, once for all who ask within the same frame's time. */
import { type Camera, CameraId } from "@edge-relay/domain/edge-api/Cameras"
import { Conflict, NotFound } from "@edge-relay/domain/edge-api/EdgeProblem"
import { Clock, Context, DateTime, Effect, Layer, Ref, Stream } from "effect"
import { drawFrame } from "./CameraFrame.ts"

interface State {
  readonly id: CameraId
  readonly name: string
  readonly width: number
  readonly height: number
  readonly framesPerSecond: number
  readonly startedAt: number | null
}

export class Cameras extends Context.Service<
  Cameras,
  {
    readonly list: Effect.Effect<ReadonlyArray<Camera>>
    readonly start: (id: CameraId) => Effect.Effect<Camera, NotFound>
    readonly stop: (id: CameraId) => Effect.Effect<Camera, NotFound>
    /** The named camera, else a running one, else any. */
    readonly choose: (id: CameraId | null) => Effect.Effect<Camera, NotFound>
    readonly snapshot: (id: CameraId) => Effect.Effect<Uint8Array, NotFound | Conflict>
    /** Frames from now on, as JPEG. A late reader gets the newest. Ends when the camera is stopped. */
    readonly frames: (id: CameraId) => Effect.Effect<Stream.Stream<Uint8Array>, NotFound | Conflict>
    /** As after a start of the machine. */
    readonly reset: Effect.Effect<void>
  }
>()("@edge-relay/devkit/simulated-edge/cameras/Cameras") {
  static readonly layer = Layer.effect(
    Cameras,
    Effect.gen(function* () {
      const initial = Effect.map(Clock.currentTimeMillis, camerasAt)
      const state = yield* Ref.make(yield* initial)
      const drawn = new Map<CameraId, { readonly tick: number; readonly jpeg: Uint8Array }>()

      const get = Effect.fn("Cameras.get")(function* (id: CameraId) {
        const camera = (yield* Ref.get(state)).find((each) => each.id === id)
        return camera ?? (yield* new NotFound({ detail: `there is no camera ${id}` }))
      })

      const running = Effect.fn("Cameras.running")(function* (id: CameraId) {
        const camera = yield* get(id)
        if (camera.startedAt === null) return yield* new Conflict({ detail: `${id} is stopped` })
        return camera
      })

      const set = Effect.fn("Cameras.set")(function* (
        id: CameraId,
        startedAt: (before: State) => number | null
      ) {
        const before = yield* get(id)
        const after = { ...before, startedAt: startedAt(before) }
        yield* Ref.update(state, (all) => all.map((each) => (each.id === id ? after : each)))
        return toCamera(after)
      })

      const draw = (camera: State, tick: number): Uint8Array => {
        const last = drawn.get(camera.id)
        if (last?.tick === tick) return last.jpeg
        const jpeg = drawFrame(camera, (tick * 1000) / camera.framesPerSecond)
        drawn.set(camera.id, { tick, jpeg })
        return jpeg
      }

      const snapshot = Effect.fn("Cameras.snapshot")(function* (id: CameraId) {
        const camera = yield* running(id)
        return draw(camera, tickAt(camera, yield* Clock.currentTimeMillis))
      })

      const frames = Effect.fn("Cameras.frames")(function* (id: CameraId) {
        yield* running(id)
        // The first frame at once, each further one when its time has come.
        return Stream.unfold(0, (last) =>
          Effect.gen(function* () {
            const camera = yield* running(id)
            const now = yield* Clock.currentTimeMillis
            const due = Math.ceil(((last + 1) * 1000) / camera.framesPerSecond)
            if (due > now) yield* Effect.sleep(due - now)
            const tick = Math.max(last + 1, tickAt(camera, yield* Clock.currentTimeMillis))
            return [draw(yield* running(id), tick), tick] as const
          }).pipe(
            // Stopped meanwhile: the stream is over.
            Effect.orElseSucceed(() => undefined)
          )
        )
      })

      return Cameras.of({
        list: Effect.map(Ref.get(state), (all) => all.map(toCamera)),
        start: (id) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => set(id, ({ startedAt }) => startedAt ?? now)),
        stop: (id) => set(id, () => null),
        choose: Effect.fn("Cameras.choose")(function* (id) {
          if (id !== null) return toCamera(yield* get(id))
          const all = yield* Ref.get(state)
          const chosen = all.find(({ startedAt }) => startedAt !== null) ?? all[0]
          return chosen === undefined
            ? yield* new NotFound({ detail: "there is no camera" })
            : toCamera(chosen)
        }),
        snapshot,
        frames,
        reset: Effect.flatMap(initial, (cameras) => Ref.set(state, cameras))
      })
    })
  )
}

const camerasAt = (now: number): ReadonlyArray<State> => [
  {
    id: CameraId.make("camera-0"),
    name: "Entrance",
    width: 640,
    height: 360,
    framesPerSecond: 10,
    startedAt: now
  },
  {
    id: CameraId.make("camera-1"),
    name: "Loading bay",
    width: 320,
    height: 180,
    framesPerSecond: 5,
    startedAt: null
  }
]

const tickAt = (camera: State, millis: number) => Math.floor((millis * camera.framesPerSecond) / 1000)

const toCamera = ({ startedAt, ...camera }: State): Camera => ({
  ...camera,
  running: startedAt !== null,
  startedAt: startedAt === null ? null : DateTime.makeUnsafe(startedAt)
})
