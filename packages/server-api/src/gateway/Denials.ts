import { AuditLog } from "@edge-relay/domain/AuditLog"
import { EdgeId } from "@edge-relay/domain/Edges"
import type { SignInSession } from "@edge-relay/domain/SignInSession"
import { Clock, Effect, Schema } from "effect"

/**
 * What signed-in people asked of the gateway and were denied, for the audit log: once a minute for each person, edge
 * and reason, not once a try.
 */
export interface Denial {
  readonly session: SignInSession
  /** As it stood in the request: it need not be an edge's id at all. */
  readonly edgeId: string
  readonly code: string
  readonly address: string
  readonly requestId: string
}

const againMillis = 60_000
/** Remembered ones; the oldest is forgotten for the next. */
const maxRemembered = 1000

export const make = Effect.gen(function* () {
  const audit = yield* AuditLog
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const remembered = new Map<string, number>()

  return ({ session, edgeId, code, address, requestId }: Denial): void => {
    const key = `${session.userId} ${edgeId} ${code}`
    const now = clock.currentTimeMillisUnsafe()
    if (now - (remembered.get(key) ?? Number.NEGATIVE_INFINITY) < againMillis) return
    remembered.delete(key)
    remembered.set(key, now)
    const [oldest] = remembered.keys()
    if (remembered.size > maxRemembered && oldest !== undefined) remembered.delete(oldest)
    fork(
      audit
        .record({
          action: "gateway.denied",
          outcome: "failure",
          tenantId: session.tenantId,
          actor: session.userId,
          edgeId: isEdgeId(edgeId) ? edgeId : undefined,
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
