import { Acceptor } from "./Acceptor.ts"
import { Channel } from "./Channel.ts"
import type { ChannelHost } from "./Channel.ts"
import { Flag, FrameType, GoAwayCode, INITIAL_WINDOW, UINT32_MAX } from "./Frame.ts"
import { FrameReader } from "./FrameReader.ts"
import { Inflow } from "./Inflow.ts"
import { Liveness } from "./Liveness.ts"
import { OpenSlots } from "./OpenSlots.ts"
import { Outbox } from "./Outbox.ts"
import { Pings } from "./Pings.ts"
import { closedError, CloseCode, endByFault, goAwayFrame, remoteError, transportError } from "./SessionEnd.ts"
import type { SessionEnd } from "./SessionEnd.ts"
import { resolveSessionOptions } from "./SessionOptions.ts"
import type { SessionOptions } from "./SessionOptions.ts"
import type { Stream } from "./Stream.ts"
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

/** What the writer of any stream may fill. */
const LEAST_WRITE_AHEAD = 16 * 1024

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
  readonly #inflow: Inflow
  readonly #liveness: Liveness
  readonly #slots: OpenSlots
  readonly #acceptor: Acceptor
  readonly #unwatch: () => void

  readonly #channels = new Map<number, Channel>()
  /** Closed on both sides, and not read to the end. */
  #unread: Set<Channel> | undefined = undefined
  #nextId: number
  /** Where the payload that is being read goes, and whether FIN comes after it. */
  #target: Channel | undefined = undefined
  #targetEnds = false

  /** What the streams' writers may fill, all together. */
  #writeAhead = 0

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
    this.#liveness = new Liveness(this.#options)
    this.#outbox = new Outbox(transport, sendHighWater, maxFramePayload, timers.now)
    this.#pings = new Pings(
      timers,
      () => this.#wireBytesIn + this.#outbox.wireBytes,
      (token) => this.#outbox.control(FrameType.ping, Flag.syn, 0, token)
    )
    this.#inflow = new Inflow(transport, this.#outbox, this.#pings, this.#options)
    this.#slots = new OpenSlots(this.#options.acceptBacklog, (channel) => this.#begin(channel))
    this.#acceptor = new Acceptor(this.#options, (error) => this.onHandlerError(error))
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
      finished: (channel) => this.#finished(channel),
      consumed: (channel, length) => this.#consumed(channel, length),
      discarded: (length) => this.#release(length)
    }
    this.#unwatch = timers.watch({ check: (now) => this.#check(now) })
    transport.onDrain = () => this.#onDrain()
    transport.onClose = (error) => this.#onTransportClose(error)
    transport.onProtocolError = (message) => this.#fail(violation(message))
    transport.onData = (chunk) => this.#onData(chunk)
  }

  /** Inbound streams. Those that come before it is set wait for it, up to `acceptBacklog`. */
  get onStream(): (stream: Stream) => void {
    return this.#acceptor.handler ?? ignore
  }

  set onStream(handler: (stream: Stream) => void) {
    this.#acceptor.handler = handler
  }

  /** Over: nothing more is sent or received. */
  get closed(): boolean {
    return this.#closed
  }

  /** When the last byte came from the peer, on the clock of `options.timers`: `performance.now()`. */
  get lastReceivedAt(): number {
    return this.#liveness.receivedAt
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
      unreadBytes: this.#inflow.unread,
      roundTripMillis: this.#pings.roundTrip
    }
  }

  /**
   * A new stream, writable at once. Where the peer has too many unanswered ones, nothing of it is sent until
   * it has answered some. Throws `SessionError`: "session_closed", "remote_going_away", "streams_exhausted",
   * "too_many_streams".
   */
  open(): Stream {
    const { maxStreams } = this.#options
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
    this.#slots.request(channel, this.#inflow.clogged)
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

  #fail(error: SessionError): void {
    this.#end(error, endByFault(error))
  }

  #onData(chunk: Buffer): void {
    this.#liveness.receivedAt = this.#options.timers.now()
    this.#wireBytesIn += chunk.length
    try {
      this.#reader.push(chunk)
    } catch (error) {
      if (!(error instanceof SessionError)) throw error
      this.#fail(error)
    }
    this.#regulate()
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
    this.#end(remoteError(code), { closeCode: CloseCode.normal })
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
    if (channel.unanswered) this.#slots.release(channel)
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
    this.#inflow.unread += chunk.length
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
      this.#acceptor.countReset(this.#liveness.receivedAt)
      return undefined
    }
    const full = this.#acceptor.full || this.#channels.size >= this.#options.maxStreams
    if (full || this.#localGoAway) {
      this.#outbox.control(FrameType.windowUpdate, Flag.rst, id, 0)
      this.#acceptor.countReset(this.#liveness.receivedAt)
      return undefined
    }
    this.#streamsAccepted++
    const channel = this.#register(id, false)
    channel.sendWindow.grant(delta)
    // At once, whatever the application does: hashicorp/yamux ends the session after 75 s without it.
    this.#outbox.control(FrameType.windowUpdate, Flag.ack, id, channel.receiveWindow.surplus)
    this.#acceptor.deliver(channel)
    return channel
  }

  #onReset(channel: Channel): void {
    channel.closed = true
    this.#forget(channel)
    channel.stream.destroy(new YamuxError("ECONNRESET", `stream ${channel.id} was reset by the peer`))
    if (!channel.outbound) this.#acceptor.countReset(this.#liveness.receivedAt)
  }

  // Channels

  #register(id: number, outbound: boolean): Channel {
    const { sessionBudget } = this.#options
    // A few streams may hold much each, many only little, all together half of the budget or the least there is.
    const share = Math.max((sessionBudget / 2 - this.#writeAhead) / 16, LEAST_WRITE_AHEAD)
    const writeAhead = Math.min(Math.floor(share), this.#options.writeAhead)
    this.#writeAhead += writeAhead
    const channel = new Channel(this.#host, id, outbound, this.#inflow.open(), writeAhead)
    this.#channels.set(id, channel)
    return channel
  }

  #begin(channel: Channel): void {
    this.#outbox.control(FrameType.windowUpdate, Flag.syn, channel.id, channel.receiveWindow.surplus)
    channel.opened()
  }

  #finished(channel: Channel): void {
    this.#forget(channel)
    if (channel.unread === 0) return
    this.#unread ??= new Set()
    this.#unread.add(channel)
  }

  #abandoned(channel: Channel): void {
    this.#unread?.delete(channel)
    if (channel.closed) return
    if (!channel.waiting) this.#outbox.control(FrameType.windowUpdate, Flag.rst, channel.id, 0)
    this.#forget(channel)
  }

  #forget(channel: Channel): void {
    channel.closed = true
    if (this.#channels.delete(channel.id)) {
      this.#inflow.close(channel.receiveWindow)
      this.#writeAhead -= channel.stream.writableHighWaterMark
    }
    this.#slots.release(channel)
  }

  #consumed(channel: Channel, length: number): void {
    this.#release(length)
    // A peer that has sent its FIN needs no window.
    if (channel.closed || channel.remoteEnded) return
    const granted = this.#inflow.consume(channel.receiveWindow, length)
    if (granted > 0) this.#outbox.control(FrameType.windowUpdate, 0, channel.id, granted)
  }

  #release(length: number): void {
    if (this.#closed) this.#inflow.unread -= length
    else this.#inflow.release(length)
  }

  /** After anything that may have changed what waits: whether to read, and whether a close is done. */
  #regulate(): void {
    if (this.#closed) return
    this.#inflow.regulate()
    if (this.#closing !== undefined) this.#closeIfFlushed()
  }

  // Time

  #check(now: number): void {
    // While we do not read, silence says nothing about the peer.
    const silence = this.#inflow.paused ? undefined : this.#liveness.checkReading(now, this.#pings)
    if (silence !== undefined) {
      const reason = { closeCode: CloseCode.heartbeatTimeout, closeReason: "heartbeat timeout" }
      return this.#end(silence, { goAway: GoAwayCode.normal, ...reason })
    }
    const stall = this.#liveness.checkWriting(now, this.#transport.bufferedAmount)
    if (stall !== undefined) return this.#end(stall, { terminate: true })
    const { closeTimeoutMillis, openTimeoutMillis } = this.#options
    for (const channel of this.#channels.values()) {
      if (this.#closed) return
      if (channel.unanswered && now - channel.openedAt >= openTimeoutMillis) this.#openTimedOut(channel)
      else if (channel.overdue(now, closeTimeoutMillis)) {
        const message = `stream ${channel.id} was not closed by the peer in ${closeTimeoutMillis} ms`
        channel.stream.destroy(new YamuxError("close_timeout", message))
      }
    }
    if (this.#inflow.starved(now)) this.#shed()
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
    for (const channel of [...this.#channels.values(), ...(this.#unread ?? [])]) {
      if (fullest === undefined || channel.unread > fullest.unread) fullest = channel
    }
    if (fullest === undefined) return
    const message = `stream ${fullest.id} held ${fullest.unread} unread bytes while the session's memory was full`
    fullest.stream.destroy(new YamuxError("read_timeout", message))
  }

  // The end

  #onDrain(): void {
    this.#liveness.wrote()
    this.#outbox.flush()
    if (!this.#inflow.clogged) this.#slots.refill()
    this.#regulate()
  }

  #onTransportClose(cause: Error | undefined): void {
    const { midFrame } = this.#reader
    const orderly = cause === undefined && !midFrame && (this.#remoteGoAway || this.#closing !== undefined)
    this.#end(orderly ? undefined : transportError(midFrame, cause))
    this.#closing?.resolve()
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

  #end(error: Error | undefined, ending?: SessionEnd): void {
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
    this.#slots.clear()
    this.#acceptor.clear()
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

const violation = (message: string): SessionError => new SessionError("protocol_error", message)
