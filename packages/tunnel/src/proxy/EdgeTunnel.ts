import type { Duplex } from "node:stream"
import { DateTime, Effect, Option, Schema } from "effect"
import type { CloseReason, SessionSummary, TunnelHandle } from "@edge-relay/domain/tunnels/SessionStore"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import type { TokenId } from "@edge-relay/domain/ids/TokenId"
import type { AuthenticatedToken } from "@edge-relay/domain/tunnels/SessionTokens"
import * as RequestId from "@edge-relay/server-kit/RequestId"
import { ControlChannel } from "../ControlChannel.ts"
import { defaultServices, offeredBy } from "./Offered.ts"
import { requestService } from "./ServiceRequest.ts"
import type { Beating, Heartbeats } from "./Heartbeats.ts"
import {
  DialError,
  EdgeBusy,
  EdgeOffline,
  EdgeRefused,
  type EdgeStream
} from "@edge-relay/domain/tunnels/DialError"
import {
  CloseCode,
  DEFAULT_SERVICE,
  type Drain,
  Hello,
  type ProtocolVersion,
  type OfferedServices,
  ServicesChanged,
  type Welcome
} from "@edge-relay/protocol/TunnelProtocol"
import type { Session } from "@edge-relay/yamux/Session"
import type { Stream } from "@edge-relay/yamux/Stream"

/**
 * The cloud's end of one edge's tunnel, from the moment its WebSocket is open to its close. It is plain code
 * with no fiber of its own, since there are ten thousand of it; what it has to tell it tells its owner.
 */

/** Whose tunnel it is. */
export interface EdgeTunnelPeer {
  readonly token: AuthenticatedToken
  readonly protocol: ProtocolVersion
  readonly remoteAddress: string | null
}

/** What the tunnels of a proxy have in common. One object for all of them, hence told which tunnel it was. */
export interface EdgeTunnelOptions {
  readonly proxyId: string
  readonly maxStreams: number
  readonly helloTimeoutMillis: number
  readonly statusTimeoutMillis: number
  readonly heartbeats: Heartbeats
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Once: the agent has said who it is, or is of the generation that does not. */
  readonly onReady: (tunnel: EdgeTunnel) => void
  /** After each answered ping. */
  readonly onBeat: (tunnel: EdgeTunnel, roundTripMillis: number) => void
  /** The agent has sent data for a stream that is not open. */
  readonly onStrayData: (tunnel: EdgeTunnel, streamId: number, bytes: number) => void
  /** Once, however it ended. */
  readonly onClosed: (tunnel: EdgeTunnel) => void
}

export class EdgeTunnel implements TunnelHandle, Beating {
  dueWith: Set<Beating> | undefined = undefined
  readonly #session: Session
  readonly #peer: EdgeTunnelPeer
  readonly #options: EdgeTunnelOptions
  readonly #connectedAt: number
  #control: ControlChannel | undefined
  /** Of the agent's hello, what the summary shows: the rest of it is not kept. */
  #hasSaidHello = false
  #readsRequestIds = false
  #agent: string | null = null
  #hostname: string | null = null
  #instanceId: string | undefined
  #services: OfferedServices = defaultServices
  #helloTimer: NodeJS.Timeout | undefined
  /** On the clock of `performance.now()`: a date that is set back makes nobody seem heard. */
  #heardAt = performance.now()
  #roundTripMillis: number | null = null
  #streams = 0

  constructor(session: Session, peer: EdgeTunnelPeer, options: EdgeTunnelOptions) {
    this.#session = session
    this.#peer = peer
    this.#options = options
    this.#connectedAt = options.now()
    session.onClose = () => this.#closed()
    session.onStream = (stream) => this.#accept(stream)
    session.onStrayData = (streamId, bytes) => options.onStrayData(this, streamId, bytes)
    session.onRoundTrip = (millis) => {
      this.#roundTripMillis = millis
      options.onBeat(this, millis)
    }
    if (peer.protocol === "v2") {
      this.#helloTimer = setTimeout(
        () => this.#protocolError(`no hello within ${options.helloTimeoutMillis} ms`),
        options.helloTimeoutMillis
      )
    } else {
      // In a turn of its own, as with v2: whoever made this has the handle by then.
      queueMicrotask(() => this.#ready())
    }
  }

  get isClosed(): boolean {
    return this.#session.closed
  }

  get token(): AuthenticatedToken {
    return this.#peer.token
  }

  get edgeId(): EdgeId {
    return this.#peer.token.edgeId
  }

  get tokenId(): TokenId {
    return this.#peer.token.tokenId
  }

  /** Which agent it is of, as that says itself; undefined: it does not. */
  get instanceId(): string | undefined {
    return this.#instanceId
  }

  /** Whatever arrives is a sign of life. The session's clock is monotonic, ours tells the date. */
  get lastHeardAt(): number {
    const silentMillis = performance.now() - Math.max(this.#heardAt, this.#session.lastReceivedAt)
    return this.#options.now() - silentMillis
  }

  set lastHeardAt(at: number) {
    this.#heardAt = performance.now() - (this.#options.now() - at)
  }

  /** Another one each time: ten thousand tunnels hold none. */
  summary(): SessionSummary {
    const { token, protocol, remoteAddress } = this.#peer
    return {
      ...token,
      protocol,
      remoteAddress,
      proxyId: this.#options.proxyId,
      connectedAt: DateTime.makeUnsafe(this.#connectedAt),
      lastHeartbeatAt: DateTime.makeUnsafe(this.lastHeardAt),
      agent: this.#agent,
      hostname: this.#hostname,
      ...offeredBy(this.#services),
      roundTripMillis: this.#roundTripMillis,
      streams: this.#streams,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut
    }
  }

  /** Open, of the cloud's. */
  get streams(): number {
    return this.#streams
  }

  /** Of streams' payload, since it connected. */
  get bytesIn(): number {
    return this.#session.bytesIn
  }

  get bytesOut(): number {
    return this.#session.bytesOut
  }

  /** Tells the agent that it is registered. Only v2 has a way to. */
  welcome(message: Omit<Welcome, "type">): void {
    const requestIds = this.#readsRequestIds ? { requestIds: true } : {}
    this.#control?.send({ type: "welcome", ...message, ...requestIds })
  }

  /** Asks the agent to connect anew; streams go on until {@link close}. */
  drain(message: Omit<Drain, "type">): void {
    if (this.#peer.protocol === "v2") this.#control?.send({ type: "drain", ...message })
    else this.#session.goAway()
  }

  /** Silence is judged by when anything last arrived, not by one ping: a busy tunnel may answer late. */
  beat(): void {
    this.#session.measure()
  }

  /** Opens a stream and, in v2, waits until the edge's local service is connected. */
  open(service: string): Effect.Effect<EdgeStream, DialError> {
    const { protocol } = this.#peer
    const { edgeId } = this.#peer.token
    return Effect.flatMap(RequestId.Current, (requestId): Effect.Effect<EdgeStream, DialError> => {
      if (protocol === "v1" && service !== DEFAULT_SERVICE) {
        const detail = "a first-generation agent has its http service only"
        return dialError(new EdgeRefused({ edgeId, service, refusal: "noSuchService", detail }))
      }
      let stream: Stream
      try {
        stream = this.#session.open()
      } catch (error) {
        return dialError(this.#openError(error))
      }
      this.#streams++
      stream.once("close", () => this.#streams--)
      if (protocol === "v1") return Effect.succeed({ stream, protocol })
      return requestService(stream, {
        edgeId,
        service,
        requestId: this.#readsRequestIds ? requestId : undefined,
        timeoutMillis: this.#options.statusTimeoutMillis
      }).pipe(Effect.map((ready: Duplex) => ({ stream: ready, protocol })))
    })
  }

  close(reason: CloseReason): Effect.Effect<void> {
    return Effect.sync(() => this.#session.destroy(undefined, ...closings[reason]))
  }

  #accept(stream: Stream): void {
    // Data streams are the cloud's to open; the agent opens one stream, for control, and only in v2.
    if (this.#peer.protocol === "v1" || this.#control !== undefined) {
      stream.destroy()
      return
    }
    this.#control = new ControlChannel(stream, {
      onMessage: (message) => this.#onControl(message),
      onEnd: (error) => this.#protocolError(error?.message ?? "control stream closed")
    })
  }

  #onControl(message: { readonly [key: string]: unknown }): void {
    if (message["type"] === "services" && this.#hasSaidHello) return this.#onServices(message)
    if (message["type"] !== "hello" || this.#hasSaidHello) return
    const hello = decodeHello(message)
    if (Option.isNone(hello)) return this.#protocolError("malformed hello")
    const { agent, hostname, instanceId, requestIds, services } = hello.value
    this.#hasSaidHello = true
    this.#readsRequestIds = requestIds === true
    this.#agent = agent ?? null
    this.#hostname = hostname ?? null
    this.#instanceId = instanceId
    this.#services = services ?? defaultServices
    this.#ready()
  }

  #onServices(message: unknown): void {
    const changed = decodeServices(message)
    if (Option.isNone(changed)) return this.#protocolError("malformed services")
    this.#services = changed.value.services
  }

  #ready(): void {
    clearTimeout(this.#helloTimer)
    // Not kept with all that its callback holds.
    this.#helloTimer = undefined
    if (this.#session.closed) return
    this.#options.heartbeats.add(this)
    this.#options.onReady(this)
  }

  #protocolError(detail: string): void {
    if (this.#session.closed) return
    this.#session.destroy(new Error(detail), CloseCode.protocolError, `protocol error: ${detail}`)
  }

  #openError(error: unknown): EdgeOffline | EdgeBusy {
    const { maxStreams } = this.#options
    const { edgeId } = this.#peer.token
    const code = error instanceof Error && "code" in error ? error.code : undefined
    if (code === "too_many_streams") return new EdgeBusy({ edgeId, detail: `${maxStreams} streams are open` })
    if (code === "streams_exhausted") {
      // Two thousand million streams: the agent comes back with fresh ids.
      this.#session.destroy(undefined, CloseCode.overLimit, "over limit: stream ids")
    }
    return new EdgeOffline({ edgeId })
  }

  #closed(): void {
    clearTimeout(this.#helloTimer)
    this.#options.heartbeats.remove(this)
    this.#options.onClosed(this)
  }
}

const decodeHello = Schema.decodeUnknownOption(Hello)
const decodeServices = Schema.decodeUnknownOption(ServicesChanged)

const dialError = (reason: DialError["reason"]) => Effect.fail(new DialError({ reason }))

const closings: Record<CloseReason, readonly [code: number, reason: string]> = {
  displaced: [CloseCode.displaced, "displaced"],
  revoked: [CloseCode.revoked, "revoked"],
  // The agent comes back at once, as it does when a proxy drains.
  disconnected: [CloseCode.draining, "disconnected"],
  heartbeat_timeout: [CloseCode.heartbeatTimeout, "heartbeat timeout"],
  draining: [CloseCode.draining, "draining"]
}
