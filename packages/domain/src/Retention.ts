import { DateTime, Duration, Effect, Layer, Schedule } from "effect"
import { AuditLog, retentionDays } from "./AuditLog.ts"
import { EdgeEvents } from "./EdgeEvents.ts"
import { PairingCodes } from "./PairingCodes.ts"
import { PairingRequests } from "./PairingRequests.ts"
import { SessionTokens } from "./SessionTokens.ts"

/**
 * What has to happen because time passes: replaced tokens end, old records go. Any number of servers may do it at
 * once. A round that fails is logged, and the next one catches up.
 */

/** How long a revoked token, or a code that expired unused, is still remembered. */
const kept = Duration.days(7)
/** How long a page that was away may resume from its last event. */
const eventsKept = Duration.days(1)
/** A replaced token's tunnel is closed within this after its 24 hours. */
const everyMinute = Schedule.spaced("1 minute")
const everyHour = Schedule.spaced("1 hour")

export const layer = (
  options: { readonly auditDays: number } = { auditDays: retentionDays }
): Layer.Layer<never, never, AuditLog | EdgeEvents | PairingCodes | PairingRequests | SessionTokens> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const audit = yield* AuditLog
      const events = yield* EdgeEvents
      const codes = yield* PairingCodes
      const requests = yield* PairingRequests
      const tokens = yield* SessionTokens

      const prune = Effect.gen(function* () {
        const now = yield* DateTime.now
        const before = DateTime.subtractDuration(now, kept)
        yield* events.prune(DateTime.subtractDuration(now, eventsKept))
        yield* codes.prune(before)
        yield* requests.prune(before)
        yield* tokens.prune(before)
        yield* audit.prune(DateTime.subtractDuration(now, Duration.days(options.auditDays)))
      })

      const keepDoing = <A, E>(task: Effect.Effect<A, E>, schedule: Schedule.Schedule<unknown>) =>
        task.pipe(Effect.ignoreCause({ log: "Error" }), Effect.repeat(schedule), Effect.forkScoped)
      yield* keepDoing(tokens.revokeReplaced, everyMinute)
      yield* keepDoing(prune, everyHour)
    })
  )
