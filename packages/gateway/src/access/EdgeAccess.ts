import * as EdgeReach from "@edge-relay/domain/access-tokens/EdgeReach"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { type Edge, Edges } from "@edge-relay/domain/edges/Edges"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Clock, Context, Effect, Fiber, FiberMap, Layer, Schema } from "effect"
import type { Lookup } from "./Lookup.ts"

/**
 * Whether an edge is for a caller, by tenant and by what a token reaches, asked before each forwarded request: the
 * answer is kept for half a second, so that an edge which was removed is gone within one. Only a yes is kept: an edge
 * just paired is there at once.
 */

const keptMillis = 500
/** Pairs of tenant and edge, each some 100 bytes. */
const maxKept = 10_000

export class EdgeAccess extends Context.Service<
  EdgeAccess,
  {
    readonly check: (caller: Asking, edgeId: string) => Lookup<boolean>
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
  /** The key's edge is the tenant's until then; oldest first. */
  const kept = new Map<string, Kept>()
  /** By the same key: whoever asks meanwhile gets the same answer. */
  const asking = yield* FiberMap.make<string, Edge | undefined, StorageUnavailable>()

  const keep = (key: string, edge: Edge | undefined): void => {
    kept.delete(key)
    if (edge !== undefined) kept.set(key, { edge, until: clock.currentTimeMillisUnsafe() + keptMillis })
    const [oldest] = kept.keys()
    if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest)
  }

  const ask = (tenantId: TenantId, edgeId: EdgeId, key: string) =>
    edges.get(tenantId, edgeId).pipe(
      Effect.catchTag("EdgeNotFound", () => Effect.undefined),
      Effect.tap((edge) => Effect.sync(() => keep(key, edge))),
      FiberMap.run(asking, key, { onlyIfMissing: true }),
      Effect.flatMap(Fiber.join)
    )

  return EdgeAccess.of({
    check: ({ reach = null, tenantId }, edgeId) => {
      const key = `${tenantId} ${edgeId}`
      const known = kept.get(key)
      if (known !== undefined && known.until > clock.currentTimeMillisUnsafe()) {
        return EdgeReach.includes(reach, known.edge)
      }
      if (!isEdgeId(edgeId)) return false
      return Effect.map(
        ask(tenantId, edgeId, key),
        (edge) => edge !== undefined && EdgeReach.includes(reach, edge)
      )
    }
  })
})
