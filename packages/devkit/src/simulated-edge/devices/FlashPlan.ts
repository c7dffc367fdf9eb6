/**
 * A flash of the simulated edge as a function of time: what stage it has reached, and whether it has failed.
 *
 * A failure is asked for by the model: one whose id or name contains `fail-at-STAGE`, `fail-at-verifying` for
 * example, fails half way through that stage.
 */
import type { DeviceId } from "@edge-relay/domain/edge-api/Devices"
import type { Flash, FlashStage } from "@edge-relay/domain/edge-api/Firmware"
import type { ModelId } from "@edge-relay/domain/edge-api/Models"
import { DateTime } from "effect"

export interface FlashRecord {
  readonly id: string
  readonly modelId: ModelId
  readonly startedAt: number
  readonly failsAt: FlashStage | null
  /** When the edge was restarted under it, and what that is to be called. */
  readonly brokenOff: { readonly at: number; readonly error: string } | null
}

// Milliseconds each stage takes, in order.
const stages: ReadonlyArray<readonly [FlashStage, number, error: string]> = [
  ["preparing", 400, "the device did not enter its loader"],
  ["erasing", 1_200, "block 0x1f40 could not be erased"],
  ["writing", 4_000, "the device stopped answering at block 0x0a80"],
  ["verifying", 1_600, "checksum differs at block 0x1f40"],
  ["restarting", 800, "the device did not come back"]
]
const total = stages.reduce((sum, [, millis]) => sum + millis, 0)

/** The stage at which a model of this id and name fails, if any. */
export const failureAskedFor = (model: { readonly id: string; readonly name: string }): FlashStage | null => {
  const match = /fail-at-([a-z]+)/.exec(`${model.id} ${model.name}`)
  return stages.find(([stage]) => stage === match?.[1])?.[0] ?? null
}

/** How `record` stands at `now`; `speed` divides every duration. */
export const flashAt = (deviceId: DeviceId, record: FlashRecord, speed: number, now: number): Flash => {
  const until = Math.min(now, record.brokenOff?.at ?? now)
  const elapsed = Math.max(0, (until - record.startedAt) * speed)
  const common = {
    id: record.id,
    deviceId,
    modelId: record.modelId,
    startedAt: DateTime.makeUnsafe(record.startedAt),
    error: null,
    endedAt: null
  }
  let begin = 0
  for (const [stage, millis, error] of stages) {
    const fails = record.failsAt === stage
    const end = begin + (fails ? millis / 2 : millis)
    if (elapsed < end) {
      const percent = Math.floor((elapsed / total) * 100)
      const running = { ...common, state: "running" as const, stage, percent }
      if (record.brokenOff === null) return running
      const { at, error } = record.brokenOff
      return { ...running, state: "failed", error, endedAt: DateTime.makeUnsafe(at) }
    }
    if (fails) {
      const endedAt = DateTime.makeUnsafe(record.startedAt + end / speed)
      const percent = Math.floor((end / total) * 100)
      return { ...common, state: "failed", stage, percent, error: `${stage}: ${error}`, endedAt }
    }
    begin = end
  }
  const endedAt = DateTime.makeUnsafe(record.startedAt + total / speed)
  return { ...common, state: "succeeded", stage: "done", percent: 100, endedAt }
}
