import type { EdgeEvent } from "@edge-relay/domain/api/Edges"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"

/** What happened to an edge. */
export interface Change {
  readonly type: (typeof EdgeEvent.Type)["event"]
  readonly edgeId: EdgeId
}

/**
 * Tunnels that were opened or lost a short while ago. They are stored nowhere, so a listener that comes back is
 * told them from here; only as far back as this process has been up, and as there is room.
 */
export class RecentChanges {
  #changes: Array<Change & { readonly tenantId: TenantId; readonly at: number }> = []
  #since: number

  constructor(now: number) {
    this.#since = now
  }

  add(tenantId: TenantId, change: Change, at: number): void {
    this.#changes.push({ ...change, tenantId, at })
    if (this.#changes.length <= maxChanges) return
    const dropped = this.#changes[maxChanges / 2]
    this.#changes = this.#changes.slice(maxChanges / 2 + 1)
    if (dropped !== undefined) this.#since = dropped.at
  }

  /** Whether everything after that moment is here. */
  isWhole(after: number): boolean {
    return after >= this.#since
  }

  of(tenantId: TenantId, after: number): ReadonlyArray<Change> {
    const changes = new Map<string, Change>()
    for (const { tenantId: owner, at, type, edgeId } of this.#changes) {
      if (owner === tenantId && at > after) changes.set(edgeId, { type, edgeId })
    }
    return Array.from(changes.values())
  }
}

/** Some 4 MB. */
const maxChanges = 20_000
