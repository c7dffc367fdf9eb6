import { Clock, Context, Duration, Effect, HashMap, Layer, Option, Ref, Schema } from "effect"
import { TenantId } from "../ids/TenantId.ts"
import { EdgeId } from "../ids/EdgeId.ts"
import { TokenId } from "../ids/TokenId.ts"
import type { DialError, EdgeStream } from "./DialError.ts"
import { LocalServer } from "./LocalServer.ts"

/**
 * The live tunnels of one proxy, at most one for each session token. The newest wins: registering swaps
 * atomically, and the tunnel that was displaced is closed after the swap, outside it, exactly once. An old
 * tunnel's tear-down never removes a newer one, since removal names the very handle that it removes.
 */

/** What is known of a live tunnel. Bytes are of streams' payload, as the proxy sees it, since it connected. */
export const SessionSummary = Schema.Struct({
  edgeId: EdgeId,
  tenantId: TenantId,
  tokenId: TokenId,
  connectedAt: Schema.DateTimeUtcFromString,
  lastHeartbeatAt: Schema.DateTimeUtcFromString,
  protocol: Schema.Literals(["v1", "v2"]),
  agent: Schema.NullOr(Schema.String),
  hostname: Schema.NullOr(Schema.String),
  services: Schema.Array(Schema.String),
  /** Of those, the ones that speak HTTP, by name: as far as the agent has said. */
  localServers: Schema.optionalKey(Schema.Record(Schema.String, LocalServer)),
  remoteAddress: Schema.NullOr(Schema.String),
  roundTripMillis: Schema.NullOr(Schema.Finite),
  streams: Schema.Int,
  bytesIn: Schema.Int,
  bytesOut: Schema.Int,
  proxyId: Schema.String
})
export type SessionSummary = typeof SessionSummary.Type

/** Why a tunnel is closed by us; the tunnel says it to the agent in its own way. */
export type CloseReason = "displaced" | "revoked" | "disconnected" | "heartbeat_timeout" | "draining"

/** A live tunnel, as the store and whoever dials edges know it. */
export interface TunnelHandle {
  readonly edgeId: EdgeId
  readonly tokenId: TokenId
  /** When its agent last gave a sign of life, in milliseconds since 1970. The store's `heartbeat` writes it. */
  lastHeardAt: number
  /** What is known at this moment, made for whoever asks. */
  readonly summary: () => SessionSummary
  /** A stream to a service of the edge, once the service is connected. */
  readonly open: (service: string) => Effect.Effect<EdgeStream, DialError>
  /** Ends the tunnel. Whatever it does, the store calls it at most once for each handle. */
  readonly close: (reason: CloseReason) => Effect.Effect<void>
}

export class SessionNotFound extends Schema.TaggedError<SessionNotFound>()("SessionNotFound", {
  tokenId: TokenId
}) {
  override get message(): string {
    return `no session for token ${this.tokenId}`
  }
}

export class SessionStore extends Context.Service<
  SessionStore,
  {
    /** Makes `handle` the token's session; answers whether that displaced another one. */
    readonly register: (tokenId: TokenId, handle: TunnelHandle) => Effect.Effect<boolean>
    /** Removes only while `handle` is the current one; answers whether it did. Does not close it. */
    readonly unregister: (tokenId: TokenId, handle: TunnelHandle) => Effect.Effect<boolean>
    readonly lookup: (tokenId: TokenId) => Effect.Effect<Option.Option<TunnelHandle>>
    /** The session that this edge registered last; an edge has two tokens while one is being replaced. */
    readonly lookupEdge: (edgeId: EdgeId) => Effect.Effect<Option.Option<TunnelHandle>>
    readonly exists: (tokenId: TokenId) => Effect.Effect<boolean>
    /** Copies: they do not change afterwards. */
    readonly list: Effect.Effect<ReadonlyArray<SessionSummary>>
    readonly heartbeat: (tokenId: TokenId) => Effect.Effect<void, SessionNotFound>
    /** Removes and closes what has been silent for longer than `after`; answers how many. */
    readonly cleanupExpired: (after: Duration.Input) => Effect.Effect<number>
  }
>()("@edge-relay/domain/tunnels/SessionStore") {
  static readonly layer: Layer.Layer<SessionStore> = Layer.effect(
    SessionStore,
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const state = yield* Ref.make(empty)

      const closeAside = (handle: TunnelHandle, reason: CloseReason) =>
        handle.close(reason).pipe(
          Effect.timeout(CLOSE_PATIENCE),
          Effect.catchCause((cause) => Effect.logWarning("a session did not close", cause)),
          Effect.annotateLogs({ edgeId: handle.edgeId, reason }),
          Effect.forkIn(scope, { startImmediately: true }),
          Effect.asVoid
        )

      // Uninterruptible: between the swap and the close, the displaced handle is known to nobody else.
      const register = Effect.fnUntraced(function* (tokenId: TokenId, handle: TunnelHandle) {
        const displaced = yield* Ref.modify(state, (current) => [
          HashMap.get(current.sessions, tokenId).pipe(Option.filter((other) => other !== handle)),
          insert(current, tokenId, handle)
        ])
        if (Option.isSome(displaced)) yield* closeAside(displaced.value, "displaced")
        return Option.isSome(displaced)
      }, Effect.uninterruptible)

      const unregister = (tokenId: TokenId, handle: TunnelHandle) =>
        Ref.modify(state, (current) =>
          isCurrent(current, tokenId, handle) ? [true, remove(current, tokenId, handle)] : [false, current]
        )

      const lookup = (tokenId: TokenId) =>
        Effect.map(Ref.get(state), (current) => HashMap.get(current.sessions, tokenId))

      const lookupEdge = (edgeId: EdgeId) =>
        Effect.map(Ref.get(state), (current) =>
          HashMap.get(current.tokenOfEdge, edgeId).pipe(
            Option.flatMap((tokenId) => HashMap.get(current.sessions, tokenId))
          )
        )

      const heartbeat = Effect.fnUntraced(function* (tokenId: TokenId) {
        const handle = yield* lookup(tokenId)
        if (Option.isNone(handle)) return yield* new SessionNotFound({ tokenId })
        handle.value.lastHeardAt = yield* Clock.currentTimeMillis
      })

      const expire = Effect.fnUntraced(function* (
        tokenId: TokenId,
        handle: TunnelHandle,
        isSilent: (handle: TunnelHandle) => boolean
      ) {
        // Looked at again in the same step that removes it: it may have beaten, or been displaced, meanwhile.
        const removed = yield* Ref.modify(state, (current) =>
          isCurrent(current, tokenId, handle) && isSilent(handle)
            ? [true, remove(current, tokenId, handle)]
            : [false, current]
        )
        if (removed) yield* closeAside(handle, "heartbeat_timeout")
        return removed
      }, Effect.uninterruptible)

      const cleanupExpired = Effect.fn("SessionStore.cleanupExpired")(function* (after: Duration.Input) {
        const clock = yield* Clock.Clock
        const patience = Duration.toMillis(Duration.fromInputUnsafe(after))
        const isSilent = (handle: TunnelHandle) =>
          clock.currentTimeMillisUnsafe() - handle.lastHeardAt > patience
        const silent = Array.from((yield* Ref.get(state)).sessions).filter(([, handle]) => isSilent(handle))
        let removed = 0
        for (const [tokenId, handle] of silent) {
          if (yield* expire(tokenId, handle, isSilent)) removed++
        }
        return removed
      })

      return SessionStore.of({
        register,
        unregister,
        lookup,
        lookupEdge,
        exists: (tokenId) => Effect.map(lookup(tokenId), Option.isSome),
        list: Effect.map(Ref.get(state), (current) =>
          Array.from(HashMap.values(current.sessions), (handle) => handle.summary())
        ),
        heartbeat,
        cleanupExpired
      })
    })
  )
}

/** A close that takes longer has hung: its fiber is let go, so that hung closes do not pile up. */
const CLOSE_PATIENCE = Duration.minutes(1)

interface State {
  readonly sessions: HashMap.HashMap<TokenId, TunnelHandle>
  /** The token that each edge registered last. Always the key of a session. */
  readonly tokenOfEdge: HashMap.HashMap<EdgeId, TokenId>
}

const empty: State = { sessions: HashMap.empty(), tokenOfEdge: HashMap.empty() }

const isCurrent = (state: State, tokenId: TokenId, handle: TunnelHandle): boolean =>
  Option.getOrUndefined(HashMap.get(state.sessions, tokenId)) === handle

const insert = (state: State, tokenId: TokenId, handle: TunnelHandle): State => ({
  sessions: HashMap.set(state.sessions, tokenId, handle),
  tokenOfEdge: HashMap.set(state.tokenOfEdge, handle.edgeId, tokenId)
})

const remove = (state: State, tokenId: TokenId, handle: TunnelHandle): State => ({
  sessions: HashMap.remove(state.sessions, tokenId),
  tokenOfEdge: HashMap.modifyAt(
    state.tokenOfEdge,
    handle.edgeId,
    Option.filter((current) => current !== tokenId)
  )
})
