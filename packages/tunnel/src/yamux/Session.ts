import { Channel } from "./Channel.ts"
import type { ChannelHost } from "./Channel.ts"
import {
  Flag,
  FrameType,
  GoAwayCode,
  HEADER_LENGTH,
  INITIAL_WINDOW,
  UINT32_MAX,
  writeHeader
} from "./Frame.ts"
import { FrameReader } from "./FrameReader.ts"
import { Outbox } from "./Outbox.ts"
import { Pings } from "./Pings.ts"
import { ReceiveWindow } from "./ReceiveWindow.ts"
import { resolveSessionOptions } from "./SessionOptions.ts"
import type { SessionOptions } from "./SessionOptions.ts"
import type { Stream } from "./Stream.ts"
import { TokenBucket } from "./TokenBucket.ts"
import type { Transport } from "./Transport.ts"
import { SessionError, YamuxError } from "./YamuxError.ts"

/** Who opened the transport is the client, and has the odd stream ids. */
export type Role = "client" | "server"

export interface SessionStats {
  /** Open now, of both ends. */
  readonly streams: number
  readonly streamsOpened: number
  readonly streamsAccepted: number
  /** Payload of DATA frames. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** All that went over the transport, headers included. */
  readonly wireBytesIn: number
  readonly wireBytesOut: number
  readonly framesIn: number
  readonly framesOut: number
  /** Received and not yet read by the application. */
  readonly unreadBytes: number
  /** By pings, in milliseconds; undefined before the first. */
  readonly roundTripMillis: number | undefined
}

/** How a session tells its transport why it ended; see the close codes of the tunnel protocol. */
const CloseCode = { normal: 1000, heartbeatTimeout: 4008, protocolError: 4009, overLimit: 4013 } as const

/** Answers that wait because the peer does not read: past this we stop reading its questions. */
const CONTROL_LIMIT = 64 * 1024

/** The round trip is measured while a stream is busy (half a window in so short a time), and not more often. */
const BUSY_MILLIS = 1_000
const MEASURE_INTERVAL = 10_000

/** What the writer of any stream may fill. */
const LEAST_WRITE_AHEAD = 16 * 1024

/**
 * A window is too small if half of it is consumed in so many round trips: then it, and not the path, may be
 * what holds the sender back. libp2p's implementations use the same number.
 */
const GROWTH_ROUND_TRIPS = 4

interface Ending {
  readonly goAway?: number
  readonly closeCode?: number
  readonly closeReason?: string
  /** The peer takes nothing: do not wait for it. */
  readonly terminate?: boolean
}

/**
 * One yamux session over one transport. It owns the transport, and is driven by it alone: no frame waits for
 * a timer, and reading never waits for writing.
 *
 * A peer that breaks the protocol ends the session; a stream's own troubles end that stream only.
 */
export class Session {
  /** The peer says that it takes no new streams (0), or why it ends the session. */
  onGoAway: (code: number) => void = ignore
  /** The end, once. Undefined: an orderly one. */
  onClose: (error: Error | undefined) => void = ignore
  /** `onStream`, `onGoAway` or `onClose` threw. The session goes on. */
  onHandlerError: (error: unknown) => void = warn

  readonly #role: Role
  readonly #transport: Transport
  readonly #options: SessionOptions
  readonly #host: ChannelHost
  readonly #reader: FrameReader
  readonly #outbox: Outbox
  readonly #pings: Pings
  readonly #unwatch: () => void

  readonly #channels = new Map<number, Channel>()
  #nextId: number
  /** Own channels whose SYN is sent and not answered: at most the peer's accept backlog. */
  #unanswered = 0
  /** Own channels that wait for such a place. */
  #waiting: Array<Channel> = []

  #onStream: ((stream: Stream) => void) | undefined = undefined
  /** Inbound channels that came before `onStream` was set. */
  #unaccepted: Array<Channel> = []
  #resets: TokenBucket | undefined = undefined

  /** Where the payload that is being read goes, and whether FIN comes after it. */
  #target: Channel | undefined = undefined
  #targetEnds = false

  /** Bytes received and unread; the sums of the receive windows, and of what the streams' writers may fill. */
  #unread = 0
  #windows = 0
  #writeAhead = 0
  /** Since when reading is paused; 0: it is not. */
  #pausedAt = 0

  #lastReceivedAt: number
  #keepAliveAt = 0
  #progressed = false
  #stalledAt = 0

  #localGoAway = false
  #remoteGoAway = false
  #closed = false
  #closing: PromiseWithResolvers<void> | undefined = undefined
  #cancelLinger = ignore

  #streamsOpened = 0
  #streamsAccepted = 0
  #framesIn = 0
  #bytesIn = 0
  #wireBytesIn = 0

  /** Throws `SessionError` "invalid_options". */
  constructor(role: Role, transport: Transport, options?: Partial<SessionOptions>) {
    this.#role = role
    this.#transport = transport
    this.#options = resolveSessionOptions(options)
    const { firstStreamId, maxFramePayload, sendHighWater, timers } = this.#options
    this.#nextId = firstStreamId ?? (role === "client" ? 1 : 2)
    this.#lastReceivedAt = timers.now()
    this.#outbox = new Outbox(transport, sendHighWater, maxFramePayload, timers.now)
    this.#pings = new Pings(
      timers,
      () => this.#wireBytesIn + this.#outbox.wireBytes,
      (token) => this.#outbox.control(FrameType.ping, Flag.syn, 0, token)
    )
    this.#reader = new FrameReader({
      onHeader: (type, flags, id, length) => this.#onHeader(type, flags, id, length),
      onPayload: (chunk, last) => this.#onPayload(chunk, last)
    })
    this.#host = {
      session: this,
      now: timers.now,
      sendable: (channel) => this.#outbox.data(channel),
      sendFin: (channel) => this.#outbox.control(FrameType.windowUpdate, Flag.fin, channel.id, 0),
      abandoned: (channel) => this.#abandoned(channel),
      finished: (channel) => this.#forget(channel),
      consumed: (channel, length) => this.#consumed(channel, length),
      discarded: (length) => this.#discarded(length)
    }
    this.#unwatch = timers.watch({ check: (now) => this.#check(now) })
    transport.onDrain = () => this.#onDrain()
    transport.onClose = (error) => this.#onTransportClose(error)
    transport.onProtocolError = (message) => this.#fail(new SessionError("protocol_error", message))
    transport.onData = (chunk) => this.#onData(chunk)
  }

  /** Inbound streams. Those that come before it is set wait for it, up to `acceptBacklog`. */
  get onStream(): (stream: Stream) => void {
    return this.#onStream ?? ignore
  }

  set onStream(handler: (stream: Stream) => void) {
    this.#onStream = handler
    const waiting = this.#unaccepted
    this.#unaccepted = []
    for (const channel of waiting) if (!channel.stream.destroyed) this.#deliver(channel, handler)
  }

  /** Over: nothing more is sent or received. */
  get closed(): boolean {
    return this.#closed
  }

  /** When the last byte came from the peer, on the clock of `options.timers`: `performance.now()`. */
  get lastReceivedAt(): number {
    return this.#lastReceivedAt
  }

  get stats(): SessionStats {
    return {
      streams: this.#channels.size,
      streamsOpened: this.#streamsOpened,
      streamsAccepted: this.#streamsAccepted,
      bytesIn: this.#bytesIn,
      bytesOut: this.#outbox.payloadBytes,
      wireBytesIn: this.#wireBytesIn,
      wireBytesOut: this.#outbox.wireBytes,
      framesIn: this.#framesIn,
      framesOut: this.#outbox.frames,
      unreadBytes: this.#unread,
      roundTripMillis: this.#pings.roundTrip
    }
  }

  /**
   * A new stream, writable at once. Where the peer has too many unanswered ones, nothing of it is sent until
   * it has answered some. Throws `SessionError`: "session_closed", "remote_going_away", "streams_exhausted",
   * "too_many_streams".
   */
  open(): Stream {
    const { acceptBacklog, maxStreams } = this.#options
    if (this.#closed || this.#closing !== undefined) throw closedError()
    if (this.#remoteGoAway) throw new SessionError("remote_going_away", "the peer takes no new streams")
    if (this.#channels.size >= maxStreams) {
      throw new SessionError("too_many_streams", `${this.#channels.size} streams are open, the most allowed`)
    }
    const id = this.#nextId
    if (id > UINT32_MAX) throw new SessionError("streams_exhausted", `stream id ${id} exceeds ${UINT32_MAX}`)
    this.#nextId += 2
    this.#streamsOpened++
    const channel = this.#register(id, true)
    channel.waiting = true
    if (this.#unanswered < acceptBacklog && this.#outbox.controlBytes < CONTROL_LIMIT) this.#begin(channel)
    else this.#waiting.push(channel)
    return channel.stream
  }

  /** Round trip in milliseconds. Rejects with "ping_timeout", or with the session's end. */
  ping(timeoutMillis: number = this.#options.keepAliveTimeoutMillis): Promise<number> {
    return this.#closed ? Promise.reject(closedError()) : this.#pings.request(timeoutMillis)
  }

  /** Tells the peer to open no more streams, and refuses those that it does. Live ones go on. */
  goAway(code: number = GoAwayCode.normal): void {
    if (this.#closed) return
    this.#localGoAway = true
    this.#outbox.control(FrameType.goAway, 0, 0, code)
  }

  /** Lets what was written go out, within `lingerMillis`, then ends the session. */
  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing.promise
    if (this.#closed) return Promise.resolve()
    this.goAway()
    const closing = Promise.withResolvers<void>()
    this.#closing = closing
    this.#cancelLinger = this.#options.timers.after(this.#options.lingerMillis, () => this.#finishClosing())
    // What the application writes in this turn is in its streams' buffers by the end of it.
    process.nextTick(() => this.#closeIfFlushed())
    return closing.promise
  }

  /** Ends the session at once; streams that are not finished fail with the error. */
  destroy(error?: Error, closeCode: number = CloseCode.normal, closeReason = ""): void {
    this.#end(error, { goAway: GoAwayCode.normal, closeCode, closeReason })
  }

  // What arrives

  #onData(chunk: Buffer): void {
    this.#lastReceivedAt = this.#options.timers.now()
    this.#wireBytesIn += chunk.length
    try {
      this.#reader.push(chunk)
    } catch (error) {
      if (!(error instanceof SessionError)) throw error
      this.#fail(error)
    }
    this.#regulate()
    if (this.#closing !== undefined) this.#closeIfFlushed()
  }

  #onHeader(type: number, flags: number, id: number, length: number): void {
    this.#framesIn++
    if (type === FrameType.ping) this.#onPing(flags, length)
    else if (type === FrameType.goAway) this.#onGoAwayFrame(length)
    else if (type === FrameType.data) this.#onStreamFrame(flags, id, length, 0)
    else this.#onStreamFrame(flags, id, 0, length)
  }

  #onPing(flags: number, token: number): void {
    if ((flags & Flag.syn) !== 0) this.#outbox.control(FrameType.ping, Flag.ack, 0, token)
    else if ((flags & Flag.ack) !== 0) this.#pings.answer(token)
  }

  #onGoAwayFrame(code: number): void {
    this.#remoteGoAway = true
    this.#guard(() => this.onGoAway(code))
    if (code === GoAwayCode.normal) return
    this.#end(remoteEnd(code), { closeCode: CloseCode.normal })
  }

  #onStreamFrame(flags: number, id: number, payload: number, delta: number): void {
    this.#target = undefined
    this.#targetEnds = false
    const channel =
      (flags & Flag.syn) === 0 ? this.#channels.get(id) : this.#accept(flags, id, payload, delta)
    // Frames may cross a stream's end: they mean nothing, their payload is skipped, and nothing is answered.
    if (channel === undefined || channel.closed || channel.waiting) {
      if (payload <= this.#options.maxWindow) return
      throw violation(`frame length ${payload} exceeds ${this.#options.maxWindow}`)
    }
    // ACK is said to come first, but peers that never send it do answer.
    if (channel.unanswered) this.#answered(channel)
    if ((flags & Flag.rst) !== 0) return this.#onReset(channel)
    if (payload > 0) {
      if (channel.remoteEnded) throw violation(`stream ${id} has ${payload} bytes after its end`)
      const window = channel.receiveWindow
      if (!window.receive(payload)) {
        throw violation(`frame length ${payload} on stream ${id} exceeds its window of ${window.available}`)
      }
      this.#target = channel
    }
    if (delta > 0 && (flags & Flag.syn) === 0) channel.granted(delta)
    if ((flags & Flag.fin) === 0) return
    if (channel.remoteEnded) throw violation(`stream ${id} has ended twice`)
    if (payload > 0) this.#targetEnds = true
    else channel.receiveEnd()
  }

  #onPayload(chunk: Buffer, last: boolean): void {
    this.#bytesIn += chunk.length
    const channel = this.#target
    if (channel === undefined || channel.closed) return
    this.#unread += chunk.length
    channel.receive(chunk)
    if (last && this.#targetEnds && !channel.closed) channel.receiveEnd()
  }

  /** A SYN: the new channel, or nothing if it is refused. */
  #accept(flags: number, id: number, payload: number, delta: number): Channel | undefined {
    if (id === 0) throw violation("stream id 0 can not be opened")
    if ((id % 2 === 1) === (this.#role === "client")) {
      throw violation(`stream id ${id} is not the peer's to open`)
    }
    if (this.#channels.has(id)) throw violation(`stream ${id} is already open`)
    if (payload > INITIAL_WINDOW) {
      throw violation(`frame length ${payload} on stream ${id} exceeds its window of ${INITIAL_WINDOW}`)
    }
    if ((flags & Flag.rst) !== 0) {
      this.#countReset()
      return undefined
    }
    const handler = this.#onStream
    const { acceptBacklog, maxStreams } = this.#options
    const full = handler === undefined && this.#unaccepted.length >= acceptBacklog
    if (full || this.#localGoAway || this.#channels.size >= maxStreams) {
      this.#outbox.control(FrameType.windowUpdate, Flag.rst, id, 0)
      this.#countReset()
      return undefined
    }
    this.#streamsAccepted++
    const channel = this.#register(id, false)
    channel.sendWindow.grant(delta)
    // At once, whatever the application does: hashicorp/yamux ends the session after 75 s without it.
    this.#outbox.control(FrameType.windowUpdate, Flag.ack, id, channel.receiveWindow.surplus)
    if (handler === undefined) this.#unaccepted.push(channel)
    else this.#deliver(channel, handler)
    return channel
  }

  #deliver(channel: Channel, handler: (stream: Stream) => void): void {
    try {
      handler(channel.stream)
    } catch (error) {
      const message = `the handler of stream ${channel.id} threw`
      channel.stream.destroy(new YamuxError("handler_failed", message, { cause: error }))
      this.onHandlerError(error)
    }
  }

  #onReset(channel: Channel): void {
    channel.closed = true
    this.#forget(channel)
    channel.stream.destroy(new YamuxError("ECONNRESET", `stream ${channel.id} was reset by the peer`))
    if (!channel.outbound) this.#countReset()
  }

  /** Opening only to reset, or in order to be refused, costs us more than it costs the peer. */
  #countReset(): void {
    const { resetBurst, resetsPerSecond } = this.#options
    this.#resets ??= new TokenBucket(resetBurst, resetsPerSecond, this.#lastReceivedAt)
    if (this.#resets.take(this.#lastReceivedAt)) return
    const message = `more than ${resetBurst} streams were reset at once, or ${resetsPerSecond} a second`
    throw new SessionError("too_many_resets", message)
  }

  // Channels

  #register(id: number, outbound: boolean): Channel {
    const { initialWindow, sessionBudget, timers } = this.#options
    const window = new ReceiveWindow(initialWindow, timers.now())
    // A few streams may hold much each, many only little, all together half of the budget or the least there is.
    const share = Math.max((sessionBudget / 2 - this.#writeAhead) / 16, LEAST_WRITE_AHEAD)
    const writeAhead = Math.min(Math.floor(share), this.#options.writeAhead)
    this.#writeAhead += writeAhead
    const channel = new Channel(this.#host, id, outbound, window, writeAhead)
    this.#windows += initialWindow
    this.#channels.set(id, channel)
    return channel
  }

  #begin(channel: Channel): void {
    this.#unanswered++
    this.#outbox.control(FrameType.windowUpdate, Flag.syn, channel.id, channel.receiveWindow.surplus)
    channel.opened()
  }

  #answered(channel: Channel): void {
    channel.unanswered = false
    this.#unanswered--
    while (this.#waiting.length > 0 && this.#unanswered < this.#options.acceptBacklog) {
      const next = this.#waiting.shift()
      if (next !== undefined) this.#begin(next)
    }
  }

  #abandoned(channel: Channel): void {
    if (channel.waiting) this.#waiting = this.#waiting.filter((other) => other !== channel)
    else this.#outbox.control(FrameType.windowUpdate, Flag.rst, channel.id, 0)
    this.#forget(channel)
  }

  #forget(channel: Channel): void {
    channel.closed = true
    if (this.#channels.delete(channel.id)) {
      this.#windows -= channel.receiveWindow.size
      this.#writeAhead -= channel.stream.writableHighWaterMark
    }
    if (channel.unanswered) this.#answered(channel)
  }

  #consumed(channel: Channel, length: number): void {
    this.#discarded(length)
    // A peer that has sent its FIN needs no window.
    if (channel.closed || channel.remoteEnded) return
    const window = channel.receiveWindow
    window.consume(length)
    if (!window.due) return
    const now = this.#options.timers.now()
    const growth = this.#growth(window, now)
    this.#windows += growth
    this.#outbox.control(FrameType.windowUpdate, 0, channel.id, window.grant(now, growth))
  }

  /** What to add to a window that is too small: it doubles, within its limit and the session's. */
  #growth(window: ReceiveWindow, now: number): number {
    const elapsed = window.elapsed(now)
    const { measuredAt, roundTrip } = this.#pings
    if (elapsed < BUSY_MILLIS && now - measuredAt > MEASURE_INTERVAL) this.#pings.measure()
    if (roundTrip === undefined || elapsed > roundTrip * GROWTH_ROUND_TRIPS) return 0
    const { maxWindow, sessionBudget } = this.#options
    return Math.max(0, Math.min(window.size, maxWindow - window.size, sessionBudget - this.#windows))
  }

  #discarded(length: number): void {
    this.#unread -= length
    if (this.#pausedAt !== 0) this.#regulate()
  }

  /** Stops reading while the application, or the peer, leaves us with more than our share. */
  #regulate(): void {
    if (this.#closed) return
    const full = this.#unread > this.#options.sessionBudget || this.#outbox.controlBytes > CONTROL_LIMIT
    if (full === (this.#pausedAt !== 0)) return
    if (full) {
      this.#pausedAt = this.#options.timers.now()
      this.#transport.pause()
    } else {
      this.#pausedAt = 0
      this.#transport.resume()
    }
  }

  // Time

  #check(now: number): void {
    this.#checkKeepAlive(now)
    this.#checkWriting(now)
    const { closeTimeoutMillis, openTimeoutMillis, readTimeoutMillis } = this.#options
    for (const channel of this.#channels.values()) {
      if (this.#closed) return
      if (channel.unanswered && now - channel.openedAt >= openTimeoutMillis) this.#openTimedOut(channel)
      else if (channel.overdue(now, closeTimeoutMillis)) {
        const message = `stream ${channel.id} was not closed by the peer in ${closeTimeoutMillis} ms`
        channel.stream.destroy(new YamuxError("close_timeout", message))
      }
    }
    const starved = this.#unread > this.#options.sessionBudget && now - this.#pausedAt >= readTimeoutMillis
    if (starved) this.#shed()
  }

  #checkKeepAlive(now: number): void {
    const { keepAliveMillis, keepAliveTimeoutMillis } = this.#options
    // While we do not read, silence says nothing about the peer.
    if (keepAliveMillis === 0 || this.#pausedAt !== 0) return
    if (this.#lastReceivedAt >= this.#keepAliveAt) this.#keepAliveAt = 0
    const silent = now - this.#lastReceivedAt
    if (this.#keepAliveAt === 0) {
      if (silent < keepAliveMillis) return
      this.#keepAliveAt = now
      this.#pings.measure()
    } else if (now - this.#keepAliveAt >= keepAliveTimeoutMillis) {
      const error = new SessionError("keepalive_timeout", `the peer was silent for ${Math.round(silent)} ms`)
      this.#end(error, {
        goAway: GoAwayCode.normal,
        closeCode: CloseCode.heartbeatTimeout,
        closeReason: "heartbeat timeout"
      })
    }
  }

  #checkWriting(now: number): void {
    const buffered = this.#transport.bufferedAmount
    const moved = buffered === 0 || this.#progressed
    this.#progressed = false
    if (moved) this.#stalledAt = 0
    else if (this.#stalledAt === 0) this.#stalledAt = now
    else if (now - this.#stalledAt >= this.#options.writeTimeoutMillis) {
      const message = `the peer took none of ${buffered} bytes in ${this.#options.writeTimeoutMillis} ms`
      this.#end(new SessionError("write_timeout", message), { terminate: true })
    }
  }

  #openTimedOut(channel: Channel): void {
    const { openTimeoutAction, openTimeoutMillis } = this.#options
    const message = `stream ${channel.id} was not answered in ${openTimeoutMillis} ms`
    if (openTimeoutAction === "reset") channel.stream.destroy(new YamuxError("open_timeout", message))
    else this.#end(new SessionError("open_timeout", message), { goAway: GoAwayCode.normal })
  }

  /** Nothing is read from the stream that fills the session's memory: it goes, so that the others go on. */
  #shed(): void {
    let fullest: Channel | undefined = undefined
    for (const channel of this.#channels.values()) {
      if (fullest === undefined || channel.unread > fullest.unread) fullest = channel
    }
    const message = `stream ${fullest?.id} held ${fullest?.unread} unread bytes while the session's memory was full`
    fullest?.stream.destroy(new YamuxError("read_timeout", message))
  }

  // The end

  #onDrain(): void {
    this.#progressed = true
    this.#outbox.flush()
    this.#regulate()
    if (this.#closing !== undefined) this.#closeIfFlushed()
  }

  #onTransportClose(cause: Error | undefined): void {
    const orderly = cause === undefined && (this.#remoteGoAway || this.#closing !== undefined)
    if (this.#reader.midFrame) {
      this.#end(
        new SessionError("unexpected_end", "unexpected end: the transport closed inside a frame", { cause })
      )
    } else if (orderly) {
      this.#end(undefined)
    } else {
      const message = cause === undefined ? "the transport closed" : `the transport closed: ${cause.message}`
      this.#end(new SessionError("transport_closed", message, { cause }))
    }
    this.#closing?.resolve()
  }

  /** The peer broke a rule: says so, as far as it still listens. */
  #fail(error: SessionError): void {
    const limit = error.code === "too_many_resets"
    this.#end(error, {
      goAway: GoAwayCode.protocolError,
      closeCode: limit ? CloseCode.overLimit : CloseCode.protocolError,
      closeReason: `${limit ? "over limit" : "protocol error"}: ${error.message}`
    })
  }

  #closeIfFlushed(): void {
    if (this.#closed) return
    this.#outbox.flush()
    if (!this.#outbox.idle) return
    for (const channel of this.#channels.values()) if (channel.stream.writableLength > 0) return
    this.#finishClosing()
  }

  #finishClosing(): void {
    this.#end(undefined, { closeCode: CloseCode.normal })
  }

  #end(error: Error | undefined, ending?: Ending): void {
    if (this.#closed) return
    this.#closed = true
    this.#unwatch()
    this.#cancelLinger()
    this.#reader.stop()
    this.#outbox.stop()
    const transport = this.#transport
    transport.onData = ignore
    transport.onDrain = ignore
    transport.onProtocolError = ignore
    if (ending?.terminate === true) {
      transport.terminate()
    } else if (ending !== undefined) {
      if (ending.goAway !== undefined) transport.send(goAwayFrame(ending.goAway))
      transport.close(ending.closeCode, ending.closeReason)
    }
    const reason = error ?? closedError()
    const channels = [...this.#channels.values()]
    this.#channels.clear()
    this.#waiting = []
    this.#unaccepted = []
    for (const channel of channels) channel.fail(reason)
    this.#pings.fail(reason)
    this.#guard(() => this.onClose(error))
  }

  #guard(handler: () => void): void {
    try {
      handler()
    } catch (error) {
      this.onHandlerError(error)
    }
  }
}

function ignore(): void {}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error))
}

const closedError = (): SessionError => new SessionError("session_closed", "the session is closed")

const violation = (message: string): SessionError => new SessionError("protocol_error", message)

const remoteEnd = (code: number): SessionError => {
  if (code === GoAwayCode.protocolError) {
    return new SessionError("remote_protocol_error", "the peer ended the session: protocol error")
  }
  if (code === GoAwayCode.internalError) {
    return new SessionError("remote_internal_error", "the peer ended the session: internal error")
  }
  return new SessionError("remote_unknown_error", `the peer ended the session: unknown reason ${code}`)
}

const goAwayFrame = (code: number): Buffer => {
  const frame = Buffer.allocUnsafe(HEADER_LENGTH)
  writeHeader(frame, 0, FrameType.goAway, 0, 0, code)
  return frame
}
