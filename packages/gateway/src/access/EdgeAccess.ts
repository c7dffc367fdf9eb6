import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { Clock, Context, Effect, Layer, Schema } from "effect"

/**
 * Whether an edge is a tenant's, asked before each forwarded request: the answer is kept for half a second, so
 * that an edge which was removed is gone within one. Only a yes is kept: an edge just paired is there at once.
 */

const keptMillis = 500
/** Pairs of tenant and edge, each some 100 bytes. */
const maxKept = 10_000

export class EdgeAccess extends Context.Service<
  EdgeAccess,
  {
    /** Rejects with `StorageUnavailable`. */
    readonly check: (tenantId: TenantId, edgeId: string) => boolean | Promise<boolean>
  }
>()("@edge-relay/gateway/access/EdgeAccess") {
  static readonly layer = Layer.effect(
    EdgeAccess,
    Effect.suspend(() => make)
  )
}

const isEdgeId = Schema.is(EdgeId)

const make = Effect.gen(function* () {
  const edges = yield* Edges
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  /** The key's edge is the tenant's until then; oldest first. */
  const kept = new Map<string, number>()
  const asking = new Map<string, Promise<boolean>>()

  const ask = (tenantId: TenantId, edgeId: EdgeId, key: string): Promise<boolean> => {
    const under = asking.get(key)
    if (under !== undefined) return under
    const asked = Effect.runPromiseWith(context)(
      edges.get(tenantId, edgeId).pipe(
        Effect.as(true),
        Effect.catchTag("EdgeNotFound", () => Effect.succeed(false))
      )
    )
      .then((found) => {
        kept.delete(key)
        if (found) kept.set(key, clock.currentTimeMillisUnsafe() + keptMillis)
        const [oldest] = kept.keys()
        if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest)
        return found
      })
      .finally(() => asking.delete(key))
    asking.set(key, asked)
    return asked
  }

  return EdgeAccess.of({
    check: (tenantId, edgeId) => {
      const key = `${tenantId} ${edgeId}`
      if ((kept.get(key) ?? 0) > clock.currentTimeMillisUnsafe()) return true
      return isEdgeId(edgeId) ? ask(tenantId, edgeId, key) : false
    }
  })
})
