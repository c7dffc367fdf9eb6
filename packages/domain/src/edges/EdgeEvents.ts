import { Clock, Context, DateTime, Effect, Layer } from "effect"
import type { TenantId } from "../ids/TenantId.ts"
import type { EdgeId } from "../ids/EdgeId.ts"
import type { TokenId } from "../ids/TokenId.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"

/**
 * What changed about edges, for every server to follow, whichever made the change. Ids count up by one in the
 * order in which changes were committed, so that who has seen `id` has missed nothing before it. An event is
 * stored with its change, in one transaction. Kept for a day.
 */

/**
 * `edge.updated` also tells of a new edge. `token.revoked` names a token that is no longer good, and
 * `edge.removed` makes all of that edge's so: what has a tunnel open closes it.
 */
export type EdgeEventType = "edge.updated" | "edge.removed" | "token.revoked"

export interface NewEdgeEvent {
  readonly type: EdgeEventType
  readonly edgeId: EdgeId
  /** Of `token.revoked` only. */
  readonly tokenId?: TokenId
}

export interface EdgeEvent {
  readonly id: number
  readonly tenantId: TenantId
  readonly type: EdgeEventType
  readonly edgeId: EdgeId
  readonly tokenId: TokenId | null
  readonly at: DateTime.Utc
}

export class EdgeEvents extends Context.Service<
  EdgeEvents,
  {
    /** Answers the event's id. Other appends wait until this one's transaction ends: do it last. */
    readonly append: (tenantId: TenantId, event: NewEdgeEvent) => Effect.Effect<number, StorageUnavailable>

    /**
     * A tenant's events after `id`, oldest first. `complete` is false where events after `id` have already been
     * dropped, or where `id` was never given out: then the caller starts from the present state instead.
     */
    readonly since: (
      tenantId: TenantId,
      id: number,
      limit: number
    ) => Effect.Effect<
      { readonly events: ReadonlyArray<EdgeEvent>; readonly complete: boolean },
      StorageUnavailable
    >

    /** Every tenant's events after `id`, oldest first: one cheap look for a whole server, which then fans out. */
    readonly allSince: (
      id: number,
      limit: number
    ) => Effect.Effect<ReadonlyArray<EdgeEvent>, StorageUnavailable>

    /** The newest id; 0 before the first. Where to begin to follow. */
    readonly latest: Effect.Effect<number, StorageUnavailable>

    /** Drops what is older. */
    readonly prune: (before: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
  }
>()("@edge-relay/domain/edges/EdgeEvents") {
  static readonly layerMemory = Layer.effect(
    EdgeEvents,
    Effect.suspend(() => makeMemory)
  )
}

/** Memory keeps the newest events only. */
const maxEvents = 10_000

const makeMemory = Effect.sync(() => {
  let events: ReadonlyArray<EdgeEvent> = []
  let latest = 0
  let dropped = 0

  const keep = (kept: ReadonlyArray<EdgeEvent>) => {
    dropped = kept[0] === undefined ? latest : kept[0].id - 1
    events = kept
  }

  return EdgeEvents.of({
    append: Effect.fnUntraced(function* (tenantId, { type, edgeId, tokenId }) {
      const at = DateTime.makeUnsafe(yield* Clock.currentTimeMillis)
      const id = ++latest
      const all = [...events, { id, tenantId, type, edgeId, tokenId: tokenId ?? null, at }]
      keep(all.length > maxEvents ? all.slice(-maxEvents / 2) : all)
      return id
    }),
    since: (tenantId, id, limit) =>
      Effect.sync(() => ({
        events: events.filter((event) => event.id > id && event.tenantId === tenantId).slice(0, limit),
        complete: id >= dropped && id <= latest
      })),
    allSince: (id, limit) => Effect.sync(() => events.filter((event) => event.id > id).slice(0, limit)),
    latest: Effect.sync(() => latest),
    prune: (before) =>
      Effect.sync(() => keep(events.filter(({ at }) => at.epochMilliseconds >= before.epochMilliseconds)))
  })
})
