/** The machine that the simulated edge is: its name, how it does, and its restart. */
import type { EdgeInfo, EdgeMetrics } from "@edge-relay/domain/edge-api/System"
import { Clock, Context, DateTime, Effect, Layer, Random, Ref } from "effect"
import { Accelerators } from "../devices/Accelerators.ts"
import { Cameras } from "../cameras/Cameras.ts"
import { Clusters } from "../clusters/Clusters.ts"

const gibibyte = 1024 ** 3

export class Machine extends Context.Service<
  Machine,
  {
    readonly info: Effect.Effect<EdgeInfo>
    readonly metrics: Effect.Effect<EdgeMetrics>
    /** Ends all that runs and begins anew; the simulated edge stays reachable meanwhile. */
    readonly restart: Effect.Effect<void>
  }
>()("@edge-relay/devkit/simulated-edge/system/Machine") {
  static readonly layer = (name: string) =>
    Layer.effect(
      Machine,
      Effect.gen(function* () {
        const accelerators = yield* Accelerators
        const cameras = yield* Cameras
        const clusters = yield* Clusters
        const startedAt = yield* Ref.make(yield* Clock.currentTimeMillis)

        const info = Effect.gen(function* () {
          return {
            name,
            vendor: "Edge Relay",
            model: "Simulated edge",
            serial: "SIM-EDGE-0001",
            software: { name: "edge-relay-devkit", version: "0.1.0" },
            hostname: "simulated-edge",
            startedAt: DateTime.makeUnsafe(yield* Ref.get(startedAt))
          }
        })

        const metrics = Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          const devices = yield* accelerators.list
          const busy = devices.filter(({ state }) => state === "inferring" || state === "flashing").length
          const loads = yield* Effect.forEach(devices, ({ id, state }) =>
            Effect.map(Random.nextBetween(-4, 4), (noise) => ({
              deviceId: id,
              loadPercent: state === "inferring" ? Math.round(68 + noise) : 0,
              temperatureCelsius:
                state === "disconnected" ? null : Math.round(state === "inferring" ? 61 + noise : 38)
            }))
          )
          const noise = yield* Random.nextBetween(-3, 3)
          return {
            at: DateTime.makeUnsafe(now),
            uptimeSeconds: (now - (yield* Ref.get(startedAt))) / 1000,
            cpu: { cores: 8, loadPercent: Math.round((9 + noise + 14 * busy) * 10) / 10 },
            memory: { totalBytes: 8 * gibibyte, usedBytes: Math.round((1.6 + 0.4 * busy) * gibibyte) },
            temperatureCelsius: Math.round(44 + noise + 6 * busy),
            accelerators: loads
          }
        })

        const restart = Effect.gen(function* () {
          yield* clusters.reset
          yield* accelerators.reset
          yield* cameras.reset
          yield* Ref.set(startedAt, yield* Clock.currentTimeMillis)
        })

        return Machine.of({ info, metrics, restart })
      })
    )
}
