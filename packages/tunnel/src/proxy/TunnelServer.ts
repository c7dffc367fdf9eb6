import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { Clock, Context, Effect, FiberSet, Layer, Random, type Stream } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { type CloseReason, SessionStore } from "@edge-relay/domain/tunnels/SessionStore"
import type { TokenId } from "@edge-relay/domain/ids/TokenId"
import { type AuthenticatedToken, SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { type ContentionOptions, defaultContention } from "./Contention.ts"
import { EdgeTunnel, type EdgeTunnelOptions, type EdgeTunnelPeer } from "./EdgeTunnel.ts"
import { FailedHandshakes } from "./FailedHandshakes.ts"
import {
  answer,
  badHandshake,
  HandshakeRefused,
  firstKnown,
  type Offer,
  readOffer,
  refuse,
  unauthorized,
  upgradeRequired
} from "./Handshake.ts"
import { Heartbeats } from "./Heartbeats.ts"
import * as LiveTunnels from "./LiveTunnels.ts"
import { PacedQueue } from "../websocket/PacedQueue.ts"
import { SessionDirectory } from "../directory/SessionDirectory.ts"
import type { DialError, EdgeStream } from "@edge-relay/domain/tunnels/DialError"
import { StrayData } from "./StrayData.ts"
import { TunnelDialer } from "../link/TunnelDialer.ts"
import type { TunnelEvent } from "@edge-relay/protocol/TunnelEvent"
import * as TunnelMetrics from "./TunnelMetrics.ts"
import { WebSocketTransport } from "../websocket/WebSocketTransport.ts"
import { Session } from "@edge-relay/yamux/Session"
import { resolveSessionOptions } from "@edge-relay/yamux/SessionOptions"

/**
 * Takes agents' tunnels on a given HTTP server and keeps them: handshake, registration (the newest wins),
 * heartbeat, displacement fights, revocation, draining.
 */

export interface TunnelServerOptions {
  /** Bound and closed by its owner; this only answers what it is asked. */
  readonly server: Server
  readonly proxyId: string
  /** Whose handshakes are counted together. */
  readonly addressOf: (request: IncomingMessage) => string
  /** First-generation clients send their token in the query. */
  readonly acceptQueryToken?: boolean
  readonly maxSessions?: number
  readonly maxStreams?: number
  /** Until a token is checked, and then until an agent has said hello. */
  readonly handshakeMillis?: number
  /** Until an agent says whether its local service is connected: longer than it waits for it. */
  readonly statusTimeoutMillis?: number
  readonly heartbeatMillis?: number
  readonly silenceMillis?: number
  /** How long streams may go on while draining. */
  readonly graceMillis?: number
  readonly failedHandshakes?: { readonly limit: number; readonly windowMillis: number }
  readonly contention?: ContentionOptions
}

export class TunnelServer extends Context.Service<
  TunnelServer,
  {
    readonly open: (edgeId: EdgeId, service: string) => Effect.Effect<EdgeStream, DialError>
    /** Closes the tunnels of the tokens that `which` chooses; answers whether there were any. */
    readonly close: (
      which: (token: AuthenticatedToken) => boolean,
      reason: CloseReason
    ) => Effect.Effect<boolean>
    /** A snapshot of what is the case, then each change. */
    readonly events: Stream.Stream<TunnelEvent>
    readonly totals: Effect.Effect<LiveTunnels.TunnelTotals>
    readonly isDraining: Effect.Effect<boolean>
    /** Takes no more tunnels, asks agents to go elsewhere, and ends when the last one has gone or time is up. */
    readonly drain: Effect.Effect<void>
  }
>()("@edge-relay/tunnel/proxy/TunnelServer") {
  static readonly layer = (
    options: TunnelServerOptions
  ): Layer.Layer<TunnelServer, never, SessionStore | SessionTokens | SessionDirectory> =>
    Layer.effect(TunnelServer, make(options))

  /** Dials the tunnels of this process. */
  static readonly layerDialer: Layer.Layer<TunnelDialer, never, TunnelServer> = Layer.effect(
    TunnelDialer,
    Effect.map(TunnelServer, ({ open }) => TunnelDialer.of({ open: Effect.fn("TunnelDialer.open")(open) }))
  )
}

const defaults = {
  acceptQueryToken: true,
  maxSessions: 20_000,
  maxStreams: 1_024,
  handshakeMillis: 10_000,
  statusTimeoutMillis: 15_000,
  heartbeatMillis: 15_000,
  silenceMillis: 45_000,
  graceMillis: 30_000,
  failedHandshakes: { limit: 30, windowMillis: 60_000 },
  contention: defaultContention
}

const make = Effect.fnUntraced(function* (given: TunnelServerOptions) {
  const options = { ...defaults, ...given }
  const tokens = yield* SessionTokens
  const directory = yield* SessionDirectory
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const context = yield* Effect.context()
  const run = yield* FiberSet.makeRuntime()
  const handshakes = new PacedQueue(TURN_MILLIS)
  /** Not behind the handshakes: those that are in already should not have to wait for all others. */
  const registrations = new PacedQueue(TURN_MILLIS)
  const live = yield* LiveTunnels.make(options)
  const failed = new FailedHandshakes(options.failedHandshakes.limit, options.failedHandshakes.windowMillis)
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: WebSocketTransport.maxPayload,
    handleProtocols: (offered) => firstKnown(offered) ?? false
  })
  // It would answer in HTML.
  webSockets.on("wsClientError", (error, socket) => refuse(socket, badHandshake(error)))
  const now = () => clock.currentTimeMillisUnsafe()
  let pending = 0
  /** What has yet to say hello displaces nothing: else one token could take the places of all the others. */
  const waiting = new Map<TokenId, Set<EdgeTunnel>>()
  const settle = (tunnel: EdgeTunnel): void => {
    const { tokenId } = tunnel.token
    const others = waiting.get(tokenId)
    others?.delete(tunnel)
    if (others?.size === 0) waiting.delete(tokenId)
  }

  /** Everything that can be said no to, before anything is upgraded. */
  const admit = Effect.fn("TunnelServer.admit")(
    function* (request: IncomingMessage, offer: Offer) {
      const full = live.size() + pending > options.maxSessions
      if (full || live.isDraining() || !(yield* directory.isAccepting)) {
        return yield* unavailable(
          full ? "as many tunnels as this proxy takes" : "this proxy takes no tunnels now"
        )
      }
      const address = options.addressOf(request)
      const banned = failed.retryAfterMillis(address, now())
      if (banned > 0) return yield* tooMany("too many handshakes failed", banned)
      const token = yield* tokens.authenticate(offer.token).pipe(
        Effect.tapError((error) =>
          Effect.sync(() => {
            if (error._tag === "TokenRejected") failed.record(address, now())
          })
        ),
        Effect.catchTags({
          TokenRejected: () => Effect.fail(unauthorized()),
          StorageUnavailable: (error) =>
            Effect.andThen(
              Effect.logError("token not checked", error),
              unavailable("tokens cannot be checked now")
            )
        })
      )
      const delay = yield* live.contentionDelay(token.tokenId)
      if (delay > 0) return yield* tooMany("two machines fight for this token", delay)
      if ((waiting.get(token.tokenId)?.size ?? 0) >= MAX_WAITING) {
        return yield* tooMany("too many tunnels with this token wait for a hello", options.handshakeMillis)
      }
      return token
    },
    (effect) =>
      Effect.timeoutOrElse(effect, {
        duration: options.handshakeMillis,
        orElse: () => unavailable("tokens cannot be checked now")
      })
  )

  const stray = new StrayData({ now, run })
  const tunnelOptions: EdgeTunnelOptions = {
    proxyId: options.proxyId,
    maxStreams: options.maxStreams,
    helloTimeoutMillis: options.handshakeMillis,
    statusTimeoutMillis: options.statusTimeoutMillis,
    heartbeats: new Heartbeats(options.heartbeatMillis, () => random.nextDoubleUnsafe()),
    now,
    onReady: (tunnel) =>
      registrations.push(() => {
        settle(tunnel)
        // Its turn may come after its close.
        if (!tunnel.isClosed) run(live.register(tunnel))
      }),
    onBeat: (tunnel, millis) => {
      TunnelMetrics.roundTripSeconds.updateUnsafe(millis / 1000, context)
      run(live.heartbeat(tunnel))
    },
    onStrayData: ({ token }, streamId, bytes) => stray.add({ streamId, bytes, edgeId: token.edgeId }),
    onClosed: (tunnel) => {
      settle(tunnel)
      run(live.remove(tunnel))
    }
  }

  const sessionOptions = resolveSessionOptions({ maxStreams: options.maxStreams })

  /** Not inside `upgrade`: what it is given lives as long as the tunnel, and a request is worth kilobytes. */
  const openTunnel = (webSocket: WebSocket, peer: EdgeTunnelPeer) => {
    const session = new Session("server", new WebSocketTransport(webSocket), sessionOptions)
    const tunnel = new EdgeTunnel(session, peer, tunnelOptions)
    live.add(tunnel)
    const { tokenId } = peer.token
    waiting.set(tokenId, (waiting.get(tokenId) ?? new Set<EdgeTunnel>()).add(tunnel))
  }

  const upgrade = (
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    offer: Offer,
    token: AuthenticatedToken
  ) =>
    Effect.sync(() => {
      socket.off("error", destroySelf)
      webSockets.handleUpgrade(request, socket, head, (webSocket) =>
        openTunnel(webSocket, {
          token,
          protocol: offer.protocol,
          remoteAddress: options.addressOf(request)
        })
      )
    })

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // The client may go while its token is checked.
    socket.on("error", destroySelf)
    const offer = readOffer(request, options)
    if (offer instanceof HandshakeRefused) return refuse(socket, offer)
    pending++
    const handshake = Effect.gen(function* () {
      // Its turn may come after its client has given up.
      if (socket.destroyed) return
      const token = yield* admit(request, offer)
      yield* upgrade(request, socket, head, offer, token)
    }).pipe(
      Effect.catchTag("HandshakeRefused", (refusal) => Effect.sync(() => refuse(socket, refusal))),
      Effect.ensuring(Effect.sync(() => pending--))
    )
    handshakes.push(() => run(handshake))
  }

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const offer = readOffer(request, options)
    answer(response, offer instanceof HandshakeRefused ? offer : upgradeRequired())
  }

  yield* Effect.acquireRelease(
    Effect.sync(() => options.server.on("upgrade", onUpgrade).on("request", onRequest)),
    () => Effect.sync(() => options.server.off("upgrade", onUpgrade).off("request", onRequest))
  )

  return TunnelServer.of({
    open: live.open,
    close: live.close,
    events: live.events,
    totals: live.totals,
    isDraining: Effect.sync(live.isDraining),
    drain: live.drain
  })
})

/**
 * Of each turn of the event loop, for handshakes and as much again for registrations: about thirty of each, when a
 * whole fleet comes back at once, and time is left for the tunnels that stand.
 */
const TURN_MILLIS = 10

function destroySelf(this: Duplex): void {
  this.destroy()
}

const tooMany = (detail: string, retryAfterMillis: number) =>
  Effect.fail(new HandshakeRefused({ status: 429, code: "too_many_requests", detail, retryAfterMillis }))

/** Of one token. An agent that reconnects over a bad line leaves one or two behind. */
const MAX_WAITING = 8

/** Long enough that a fleet that is turned away does not come back at once. */
const UNAVAILABLE_MILLIS = 5_000

const unavailable = (detail: string) =>
  Effect.fail(
    new HandshakeRefused({ status: 503, code: "unavailable", detail, retryAfterMillis: UNAVAILABLE_MILLIS })
  )
