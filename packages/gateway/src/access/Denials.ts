import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import type { UserId } from "@edge-relay/domain/ids/UserId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import type { Caller } from "./Caller.ts"
import { Clock, Effect, Schema } from "effect"

/**
 * What signed-in people asked of the gateway and were denied, for the audit log: once a minute for each person, edge
 * and reason, not once a try. Who tries one edge after the other is known by the first of them: the log, which is
 * everybody's disk, is not theirs to fill.
 */
export interface Denial {
  readonly caller: Caller
  /** As it stood in the request: it need not be an edge's id at all. */
  readonly edgeId: string
  readonly code: string
  readonly address: string
  readonly requestId: string
}

const minuteMillis = 60_000
const maxOfPerson = 20
/** Remembered people; the one remembered for longest is forgotten for the next. */
const maxPeople = 1000

export const make = Effect.gen(function* () {
  const audit = yield* AuditLog
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const people = new Map<UserId, { readonly endsAt: number; readonly denied: Set<string> }>()

  const deniedTo = (userId: UserId): Set<string> => {
    const now = clock.currentTimeMillisUnsafe()
    const known = people.get(userId)
    if (known !== undefined && known.endsAt > now) return known.denied
    const denied = new Set<string>()
    people.delete(userId)
    people.set(userId, { endsAt: now + minuteMillis, denied })
    const [oldest] = people.keys()
    if (people.size > maxPeople && oldest !== undefined) people.delete(oldest)
    return denied
  }

  return ({ caller, edgeId: asked, code, address, requestId }: Denial): void => {
    const edgeId = isEdgeId(asked) ? asked : undefined
    const key = `${edgeId} ${code}`
    const denied = deniedTo(caller.userId)
    if (denied.has(key) || denied.size >= maxOfPerson) return
    denied.add(key)
    fork(
      audit
        .record({
          action: "gateway.denied",
          outcome: "failure",
          tenantId: caller.tenantId,
          actor: caller.userId,
          edgeId,
          address,
          requestId,
          detail: code
        })
        // The denial stands, whether it could be recorded or not.
        .pipe(Effect.catchCause((cause) => Effect.logWarning("a denial could not be recorded", cause)))
    )
  }
})

const isEdgeId = Schema.is(EdgeId)
