import { Effect, Option, PubSub, Stream } from "effect"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { SessionStore } from "@edge-relay/domain/tunnels/SessionStore"
import type { AuthenticatedToken } from "@edge-relay/domain/tunnels/SessionTokens"
import type { TunnelEvent } from "@edge-relay/protocol/TunnelEvent"

/** Tells each change of a proxy's tunnels to all that follow them. */

export interface TunnelEvents {
  /** The edge is online here, or no longer. */
  readonly session: (token: AuthenticatedToken) => Effect.Effect<void>
  readonly contended: (token: AuthenticatedToken, contended: boolean) => Effect.Effect<void>
  readonly draining: Effect.Effect<void>
  readonly stream: Stream.Stream<TunnelEvent>
}

/** What has changed; an online or offline edge is looked up when it is told, so that no order is told wrong. */
type Change =
  | { readonly type: "session"; readonly edgeId: EdgeId; readonly tenantId: TenantId }
  | Extract<TunnelEvent, { readonly type: "contended" | "draining" }>

/** `state` is what a snapshot has besides the sessions in the store. */
export const make = Effect.fnUntraced(function* (
  state: () => Pick<Extract<TunnelEvent, { readonly type: "snapshot" }>, "contended" | "draining">
): Effect.fn.Return<TunnelEvents, never, SessionStore> {
  const store = yield* SessionStore
  const changes = yield* PubSub.unbounded<Change>()

  const describe = Effect.fnUntraced(function* (change: Change) {
    if (change.type !== "session") return change
    const registered = yield* store.lookupEdge(change.edgeId)
    return Option.match(registered, {
      onNone: (): TunnelEvent => ({ ...change, type: "offline" }),
      onSome: (handle): TunnelEvent => ({ type: "online", session: handle.summary() })
    })
  })

  const stream = Stream.unwrap(
    Effect.gen(function* () {
      // Before the snapshot, so that what changes after it is not missed; told twice does no harm.
      const subscription = yield* PubSub.subscribe(changes)
      const snapshot: TunnelEvent = { type: "snapshot", sessions: yield* store.list, ...state() }
      return Stream.fromSubscription(subscription).pipe(
        Stream.mapEffect(describe),
        Stream.prepend([snapshot])
      )
    })
  )

  return {
    session: ({ edgeId, tenantId }) => PubSub.publish(changes, { type: "session", edgeId, tenantId }),
    contended: ({ edgeId, tenantId, tokenId }, contended) =>
      PubSub.publish(changes, { type: "contended", edgeId, tenantId, tokenId, contended }),
    draining: PubSub.publish(changes, { type: "draining" }),
    stream
  }
})
