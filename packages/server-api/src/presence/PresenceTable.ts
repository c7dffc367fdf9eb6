import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import type { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import type { PresenceChange } from "@edge-relay/domain/tunnels/Presence"

/**
 * What each proxy last told of its tunnels, and what follows from all of it together: an edge is online while any
 * proxy holds a tunnel of it. One that moves from a proxy to another never seems offline in between, whichever
 * of the two tells first.
 */
export class PresenceTable {
  /** By edge, then by proxy; no edge without a proxy. */
  readonly #sessions = new Map<EdgeId, Map<string, SessionSummary>>()
  readonly #byTenant = new Map<TenantId, Set<EdgeId>>()
  /** By edge: the proxies on which its token is fought for. */
  readonly #contended = new Map<EdgeId, Set<string>>()
  readonly #watchers = new Set<(change: PresenceChange) => void>()

  /** Of several, the one that was opened last: it displaces the others. */
  session(edgeId: EdgeId): SessionSummary | undefined {
    let newest: SessionSummary | undefined
    for (const session of this.#sessions.get(edgeId)?.values() ?? []) {
      if (newest === undefined || openedAt(session) > openedAt(newest)) newest = session
    }
    return newest
  }

  /** Where that tunnel is held. */
  proxyOf(edgeId: EdgeId): string | undefined {
    const newest = this.session(edgeId)
    for (const [proxy, session] of this.#sessions.get(edgeId) ?? []) if (session === newest) return proxy
    return undefined
  }

  isContended(edgeId: EdgeId): boolean {
    return this.#contended.has(edgeId)
  }

  onlineOf(tenantId: TenantId): ReadonlyArray<SessionSummary> {
    return Array.from(this.#byTenant.get(tenantId) ?? []).flatMap((edgeId) => this.session(edgeId) ?? [])
  }

  watch(onChange: (change: PresenceChange) => void): () => void {
    this.#watchers.add(onChange)
    return () => this.#watchers.delete(onChange)
  }

  /** Everything that a proxy holds, from its own mouth. */
  snapshot(proxy: string, sessions: ReadonlyArray<SessionSummary>, contended: ReadonlyArray<EdgeId>): void {
    const held = new Set(sessions.map(({ edgeId }) => edgeId))
    for (const session of sessions) this.online(proxy, session)
    for (const [edgeId, byProxy] of this.#sessions) {
      if (!held.has(edgeId) && byProxy.has(proxy)) this.offline(proxy, edgeId)
    }
    const fought = new Set(contended)
    for (const edgeId of [...this.#contended.keys(), ...fought]) {
      this.contended(proxy, edgeId, this.session(edgeId)?.tenantId, fought.has(edgeId))
    }
  }

  online(proxy: string, session: SessionSummary): void {
    const { edgeId, tenantId } = session
    const before = this.session(edgeId)
    const byProxy = this.#sessions.get(edgeId) ?? new Map<string, SessionSummary>()
    this.#sessions.set(edgeId, byProxy.set(proxy, session))
    this.#byTenant.set(tenantId, (this.#byTenant.get(tenantId) ?? new Set()).add(edgeId))
    const now = this.session(edgeId)
    // The same tunnel told again, and one that another has displaced, are no news.
    if (now === session && (before === undefined || openedAt(before) !== openedAt(session))) {
      this.#tell({ type: "edge.online", session })
    }
  }

  offline(proxy: string, edgeId: EdgeId): void {
    const byProxy = this.#sessions.get(edgeId)
    const session = byProxy?.get(proxy)
    if (byProxy === undefined || session === undefined) return
    byProxy.delete(proxy)
    if (byProxy.size > 0) return
    const { tenantId } = session
    this.#sessions.delete(edgeId)
    const ofTenant = this.#byTenant.get(tenantId)
    ofTenant?.delete(edgeId)
    if (ofTenant?.size === 0) this.#byTenant.delete(tenantId)
    this.#tell({ type: "edge.offline", edgeId, tenantId })
  }

  contended(proxy: string, edgeId: EdgeId, tenantId: TenantId | undefined, isContended: boolean): void {
    const before = this.isContended(edgeId)
    const proxies = this.#contended.get(edgeId) ?? new Set()
    if (isContended) proxies.add(proxy)
    else proxies.delete(proxy)
    if (proxies.size > 0) this.#contended.set(edgeId, proxies)
    else this.#contended.delete(edgeId)
    // Of an edge that is offline, a snapshot does not say whose it is: whoever asks for it will see.
    if (before !== this.isContended(edgeId) && tenantId !== undefined) {
      this.#tell({ type: "edge.contended", edgeId, tenantId })
    }
  }

  /** Newer counters of a tunnel that is known. */
  refresh(proxy: string, session: SessionSummary): void {
    const byProxy = this.#sessions.get(session.edgeId)
    const known = byProxy?.get(proxy)
    if (known !== undefined && openedAt(known) === openedAt(session)) byProxy?.set(proxy, session)
  }

  /** A proxy is gone, and its tunnels with it. */
  drop(proxy: string): void {
    this.snapshot(proxy, [], [])
  }

  #tell(change: PresenceChange): void {
    for (const watcher of this.#watchers) watcher(change)
  }
}

const openedAt = ({ connectedAt }: SessionSummary): number => connectedAt.epochMilliseconds
