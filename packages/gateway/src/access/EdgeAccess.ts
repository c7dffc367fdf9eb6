import * as EdgeReach from "@edge-relay/domain/access-tokens/EdgeReach"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { type Edge, Edges } from "@edge-relay/domain/edges/Edges"
import { Clock, Context, Effect, Layer, Schema } from "effect"

/**
 * Whether an edge is for a caller, by tenant and by what a token reaches, asked before each forwarded request: the answer is kept for half a second, so
 * that an edge which was removed is gone within one. Only a yes is kept: an edge just paired is there at once.
 */

const keptMillis = 500
/** Pairs of tenant and edge, each some 100 bytes. */
const maxKept = 10_000

export class EdgeAccess extends Context.Service<
  EdgeAccess,
  {
    /** Rejects with `StorageUnavailable`. */
    readonly check: (caller: Asking, edgeId: string) => boolean | Promise<boolean>
  }
>()("@edge-relay/gateway/access/EdgeAccess") {
  static readonly layer = Layer.effect(
    EdgeAccess,
    Effect.suspend(() => make)
  )
}

/** As much of a caller as decides. A session reaches all of its tenant's edges. */
export interface Asking {
  readonly tenantId: TenantId
  readonly reach?: EdgeReach.EdgeReach | null
}

interface Kept {
  readonly edge: Edge
  readonly until: number
}

const isEdgeId = Schema.is(EdgeId)

const make = Effect.gen(function* () {
  const edges = yield* Edges
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  /** The key's edge is the tenant's until then; oldest first. */
  const kept = new Map<string, Kept>()
  const asking = new Map<string, Promise<Edge | undefined>>()

  const ask = (tenantId: TenantId, edgeId: EdgeId, key: string): Promise<Edge | undefined> => {
    const under = asking.get(key)
    if (under !== undefined) return under
    const asked = Effect.runPromiseWith(context)(
      Effect.catchTag(edges.get(tenantId, edgeId), "EdgeNotFound", () => Effect.undefined)
    )
      .then((edge) => {
        kept.delete(key)
        if (edge !== undefined) kept.set(key, { edge, until: clock.currentTimeMillisUnsafe() + keptMillis })
        const [oldest] = kept.keys()
        if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest)
        return edge
      })
      .finally(() => asking.delete(key))
    asking.set(key, asked)
    return asked
  }

  return EdgeAccess.of({
    check: ({ reach = null, tenantId }, edgeId) => {
      const key = `${tenantId} ${edgeId}`
      const known = kept.get(key)
      if (known !== undefined && known.until > clock.currentTimeMillisUnsafe()) {
        return EdgeReach.includes(reach, known.edge)
      }
      if (!isEdgeId(edgeId)) return false
      return ask(tenantId, edgeId, key).then((edge) => edge !== undefined && EdgeReach.includes(reach, edge))
    }
  })
})
