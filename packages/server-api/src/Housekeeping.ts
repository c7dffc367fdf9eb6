import { AccessTokens } from "@edge-relay/domain/access-tokens/AccessTokens"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { PairingCodes } from "@edge-relay/domain/pairing/PairingCodes"
import { PairingRequests } from "@edge-relay/domain/pairing/PairingRequests"
import { TerminalRequests } from "@edge-relay/domain/sign-in/TerminalRequests"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { DateTime, Effect, Layer, Schedule } from "effect"
import { Config } from "./Config.ts"

/**
 * Drops what is no longer wanted, and revokes tokens whose time as the replaced one is over. Each server does it:
 * to do it twice changes nothing.
 */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const { auditDays } = yield* Config
    const audit = yield* AuditLog
    const events = yield* EdgeEvents
    const codes = yield* PairingCodes
    const requests = yield* PairingRequests
    const tokens = yield* SessionTokens
    const accessTokens = yield* AccessTokens
    const terminals = yield* TerminalRequests

    const prune = Effect.gen(function* () {
      const now = yield* DateTime.now
      yield* audit.prune(DateTime.subtract(now, { days: auditDays }))
      // Listeners resume across a day.
      yield* events.prune(DateTime.subtract(now, { days: 1 }))
      yield* codes.prune(DateTime.subtract(now, { days: 1 }))
      yield* requests.prune(DateTime.subtract(now, { days: 1 }))
      yield* terminals.prune(DateTime.subtract(now, { days: 1 }))
      // Whose script has stopped finds the token that expired.
      yield* accessTokens.prune(DateTime.subtract(now, { days: 30 }))
      yield* tokens.prune(DateTime.subtract(now, { days: 30 }))
    })

    // What fails is done the next time; the database's own module says why it failed.
    yield* Effect.forkScoped(Effect.repeat(Effect.ignore(tokens.revokeReplaced), Schedule.spaced("1 minute")))
    yield* Effect.forkScoped(Effect.repeat(Effect.ignore(prune), Schedule.spaced("1 hour")))
  })
)
