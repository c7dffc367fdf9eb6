import { Config } from "../Config.ts"
import { EdgeEvent, type EdgeView } from "@edge-relay/domain/api/Edges"
import { TooManyRequests } from "@edge-relay/domain/api/Problem"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Edges } from "@edge-relay/domain/edges/Edges"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Clock, Context, Effect, Layer, Schedule, Schema, Semaphore } from "effect"
import { Sse } from "effect/encoding"
import * as EdgeViews from "../http/EdgeViews.ts"
import { LiveBacklog } from "./LiveBacklog.ts"
import type { LiveListener } from "./LiveListener.ts"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import { type Change, RecentChanges } from "./RecentChanges.ts"

/**
 * What happens to a tenant's edges, as it happens, to whoever listens: changes that any server stored, and tunnels
 * that any proxy opened or lost. An event carries its edge as it is when the event is sent, and is encoded once
 * for all of the tenant's listeners. One that comes twice does no harm, and none overtakes a newer state.
 *
 * An event's id is `<stored>-<millis>`: up to which stored change its listener has seen everything, and when.
 */
export class LiveEvents extends Context.Service<
  LiveEvents,
  {
    /** Begins after `lastEventId`. Whoever asks sees to it that the listener's stream ends. */
    readonly listen: (
      tenantId: TenantId,
      lastEventId: string | undefined
    ) => Effect.Effect<LiveListener, TooManyRequests | StorageUnavailable>
    /** How many listen at the moment. */
    readonly count: () => number
    /** Ends every stream: their listeners come back, to another server. */
    readonly close: Effect.Effect<void>
  }
>()("@edge-relay/server-api/live/LiveEvents") {
  static readonly layer = Layer.effect(
    LiveEvents,
    Effect.suspend(() => make)
  )
}

/** How often stored changes are looked for while anybody listens; half of it is the mean delay. */
const pollMillis = 150
const pollLimit = 500
/** Changes that come together are described together. */
const gatherMillis = 10
/** A comment keeps proxies from closing what is quiet. */
const commentMillis = 15_000
/** Servers hear of the same tunnel at different moments, by clocks that differ. */
const slackMillis = 5_000
/** Stored changes that are replayed one by one; who missed more is told the present state. */
const maxReplay = 1000
const maxListeners = 20_000
const maxListenersOfTenant = 2_000
/** What waits for one listener's socket. Mostly shared bytes; a snapshot of 10,000 edges has 4 MB. */
const maxWaitingBytes = 8 * 1024 * 1024
/** And for all sockets together: what they share counts for each of them, hence it is less in memory. */
const maxWaitingBytesOfAll = 256 * 1024 * 1024
/** Most edges in one query. */
const pageItems = 200

/** `stored`: the newest stored change that has been seen when this one is told. */
type Announced = Change & { readonly stored: number }

/** A tenant that somebody listens to. */
interface Audience {
  readonly listeners: Set<LiveListener>
  /** Held while events are encoded and handed out, so that none overtakes a newer state. */
  readonly turn: Semaphore.Semaphore
  waiting: Array<Announced>
  /** Who waits for a turn to become a listener. */
  joining: number
}

const make = Effect.gen(function* () {
  const edges = yield* Edges
  const events = yield* EdgeEvents
  const presence = yield* Presence
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const scope = yield* Effect.scope
  const view = EdgeViews.make(presence, yield* Config)
  const now = () => clock.currentTimeMillisUnsafe()

  const audiences = new Map<TenantId, Audience>()
  const backlog = new LiveBacklog(maxWaitingBytesOfAll)
  const recent = new RecentChanges(now())
  let stored = 0
  let size = 0

  /** The tenant's changes as events, each with its edge as it is now; without ids. */
  const describe = Effect.fnUntraced(function* (tenantId: TenantId, changes: ReadonlyArray<Change>) {
    const found = new Map<EdgeId, typeof EdgeView.Type>()
    const ids = Array.from(new Set(changes.map(({ edgeId }) => edgeId)))
    for (let at = 0; at < ids.length; at += pageItems) {
      const query = { limit: pageItems, ids: ids.slice(at, at + pageItems) }
      const page = yield* Effect.catchTag(edges.list(tenantId, query), "InvalidCursor", Effect.die)
      for (const edge of page.items) found.set(edge.id, view(edge))
    }
    return changes.flatMap(({ type, edgeId, ...rest }): ReadonlyArray<Described> => {
      const edge = found.get(edgeId)
      if (type === "edge.removed") return [{ ...rest, event: type, data: { edgeId, edge: null } }]
      // Removed in the meantime: that is told, or has been.
      if (edge === undefined) return []
      const isPresence = type === "edge.online" || type === "edge.offline"
      const event = isPresence ? (edge.online ? "edge.online" : "edge.offline") : type
      return [{ ...rest, event, data: { edgeId, edge } }]
    })
  })

  const deliver = (tenantId: TenantId, audience: Audience) =>
    Effect.gen(function* () {
      const changes = audience.waiting
      audience.waiting = []
      const described = yield* describe(tenantId, changes)
      const encoded = described.map(({ stored = 0, ...event }) =>
        encode({ ...event, id: `${stored}-${now()}` })
      )
      for (const listener of audience.listeners) for (const bytes of encoded) listener.push(bytes)
    }).pipe(
      audience.turn.withPermit,
      Effect.catchCause((cause) =>
        Effect.logWarning("changes could not be told; their listeners resume", cause).pipe(
          Effect.andThen(Effect.sync(() => audience.listeners.forEach((listener) => listener.end())))
        )
      )
    )

  const announce = (tenantId: TenantId, change: Announced): void => {
    const audience = audiences.get(tenantId)
    if (audience === undefined) return
    audience.waiting.push(change)
    if (audience.waiting.length > 1) return
    fork(deliver(tenantId, audience).pipe(Effect.delay(gatherMillis), Effect.forkIn(scope)))
  }

  const poll = Effect.gen(function* () {
    while (true) {
      // Nobody listens: whoever comes first begins from what is stored then.
      if (size === 0) return
      const found = yield* events.allSince(stored, pollLimit)
      for (const { id, tenantId, type, edgeId } of found) {
        stored = id
        if (type !== "token.revoked") announce(tenantId, { type, edgeId, stored })
      }
      if (found.length < pollLimit) return
    }
  }).pipe(
    // While the database is away, nothing changes in it.
    Effect.catchTag("StorageUnavailable", (error) => Effect.logDebug(error.message))
  )

  /** Everything of the tenant as it is now. */
  const snapshot = Effect.fnUntraced(function* (tenantId: TenantId) {
    const described: Array<Described> = []
    let cursor: string | undefined
    do {
      const page = yield* Effect.catchTag(
        edges.list(tenantId, { limit: pageItems, cursor }),
        "InvalidCursor",
        Effect.die
      )
      for (const edge of page.items) {
        described.push({ event: "edge.updated", data: { edgeId: edge.id, edge: view(edge) } })
      }
      cursor = page.nextCursor ?? undefined
    } while (cursor !== undefined)
    return described
  })

  /**
   * What a listener has missed since an id that it was given. Where that cannot be known, it is told everything as
   * it is now, after what is known to have gone.
   */
  const replay = Effect.fnUntraced(function* (tenantId: TenantId, lastEventId: string) {
    const [, seen, at] = /^(\d{1,15})-(\d{1,15})$/.exec(lastEventId) ?? []
    if (seen === undefined) return yield* snapshot(tenantId)
    const { events: missed, complete } = yield* events.since(tenantId, Number(seen), maxReplay)
    const changes = missed.flatMap(({ type, edgeId }): ReadonlyArray<Change> =>
      type === "token.revoked" ? [] : [{ type, edgeId }]
    )
    if (complete && missed.length < maxReplay && recent.isWhole(Number(at))) {
      return yield* describe(tenantId, [...changes, ...recent.of(tenantId, Number(at) - slackMillis)])
    }
    const removed = changes.filter(({ type }) => type === "edge.removed")
    return [...(yield* describe(tenantId, removed)), ...(yield* snapshot(tenantId))]
  })

  const audienceOf = (tenantId: TenantId): Audience => {
    const audience = audiences.get(tenantId) ?? {
      listeners: new Set<LiveListener>(),
      turn: Semaphore.makeUnsafe(1),
      waiting: [],
      joining: 0
    }
    audiences.set(tenantId, audience)
    return audience
  }

  const forgetIfEmpty = (tenantId: TenantId, { joining, listeners }: Audience): void => {
    if (listeners.size === 0 && joining === 0) audiences.delete(tenantId)
  }

  const join = Effect.fnUntraced(function* (
    tenantId: TenantId,
    audience: Audience,
    lastEventId: string | undefined
  ) {
    if (size === 0) {
      const latest = yield* events.latest
      // Looked at again: whoever came first has begun to follow from there.
      if (size === 0) stored = latest
    }
    if (size >= maxListeners || audience.listeners.size >= maxListenersOfTenant) {
      return yield* new TooManyRequests({ detail: "Too many event streams are open." })
    }
    const listener = backlog.open(maxWaitingBytes)
    audience.listeners.add(listener)
    size++
    listener.onClose(() => {
      size--
      audience.listeners.delete(listener)
      forgetIfEmpty(tenantId, audience)
    })
    return yield* Effect.gen(function* () {
      const missed = lastEventId === undefined ? [] : yield* replay(tenantId, lastEventId)
      for (const event of missed) listener.push(encode(event))
      // An id without an event: what this listener resumes from if nothing happens until then.
      const [next] = audience.waiting
      const position = next === undefined ? stored : next.stored - 1
      listener.push(new TextEncoder().encode(`retry: 1000\nid: ${position}-${now()}\n\n`))
      return listener
    }).pipe(Effect.onError(() => Effect.sync(() => listener.stream.destroy())))
  })

  yield* Effect.acquireRelease(
    Effect.sync(() =>
      presence.watch((change) => {
        const { type } = change
        const { edgeId, tenantId } = type === "edge.online" ? change.session : change
        recent.add(tenantId, { type, edgeId }, now())
        announce(tenantId, { type, edgeId, stored })
      })
    ),
    (stop) => Effect.sync(stop)
  )
  yield* Effect.forkScoped(Effect.repeat(poll, Schedule.spaced(pollMillis)))

  const everyListener = (act: (listener: LiveListener) => void) =>
    Effect.sync(() => audiences.forEach(({ listeners }) => listeners.forEach(act)))
  const comment = new TextEncoder().encode(":\n\n")
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.delay(
        everyListener((listener) => listener.push(comment)),
        commentMillis
      )
    )
  )
  yield* Effect.addFinalizer(() => everyListener((listener) => listener.end()))

  return LiveEvents.of({
    listen: Effect.fn("LiveEvents.listen")(function* (tenantId, lastEventId) {
      const audience = audienceOf(tenantId)
      audience.joining++
      return yield* audience.turn.withPermit(join(tenantId, audience, lastEventId)).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            audience.joining--
            forgetIfEmpty(tenantId, audience)
          })
        )
      )
    }),
    count: () => size,
    close: everyListener((listener) => listener.end())
  })
})

type Described = Omit<typeof EdgeEvent.Type, "id"> & { readonly stored?: number }

const encodeSchema = Schema.encodeSync(EdgeEvent)

const encode = (event: typeof EdgeEvent.Type): Uint8Array => {
  const { id, event: name, data } = encodeSchema(event)
  return new TextEncoder().encode(Sse.encoder.write({ _tag: "Event", id, event: name, data }))
}
