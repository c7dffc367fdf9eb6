import { Acceptor } from "./Acceptor.ts"
import { Channels } from "./Channels.ts"
import { Deadlines } from "./Deadlines.ts"
import { Dispatcher } from "./Dispatcher.ts"
import { FrameType, GoAwayCode, UINT32_MAX } from "./Frame.ts"
import { FrameReader } from "./FrameReader.ts"
import { Inflow } from "./Inflow.ts"
import { Liveness } from "./Liveness.ts"
import { OpenSlots } from "./OpenSlots.ts"
import { Outbox } from "./Outbox.ts"
import { Pings } from "./Pings.ts"
import {
  closedError,
  CloseCode,
  endByFault,
  goAwayFrame,
  remoteError,
  transportError,
  violation
} from "./SessionEnd.ts"
import type { SessionEnd } from "./SessionEnd.ts"
import { resolveSessionOptions } from "./SessionOptions.ts"
import type { SessionOptions } from "./SessionOptions.ts"
import type { Stream } from "./Stream.ts"
import type { Transport } from "./Transport.ts"
import { SessionError } from "./YamuxError.ts"

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
  /** A frame of data for a stream that is not open: it was skipped. Often, if the peer wants. */
  onStrayData: (streamId: number, bytes: number) => void = ignore
  /** `onStream` or another handler threw. The session goes on. */
  onHandlerError: (error: unknown) => void = warn
  /** An answer to `measure`, in milliseconds. */
  onRoundTrip: (millis: number) => void = ignore

  readonly #transport: Transport
  readonly #options: SessionOptions
  readonly #dispatcher: Dispatcher
  readonly #reader: FrameReader
  readonly #outbox: Outbox
  readonly #pings: Pings
  readonly #inflow: Inflow
  readonly #liveness: Liveness
  readonly #slots: OpenSlots
  readonly #acceptor: Acceptor
  readonly #channels: Channels
  readonly #deadlines: Deadlines

  #nextId: number
  #opened = 0
  #remoteGoAway = false
  #closed = false
  #closing: PromiseWithResolvers<void> | undefined = undefined
  #cancelLinger = ignore

  /** Throws `SessionError` "invalid_options". */
  constructor(role: Role, transport: Transport, given?: Partial<SessionOptions>) {
    const options = resolveSessionOptions(given)
    const { firstStreamId, maxFramePayload, sendHighWater, acceptBacklog, timers } = options
    this.#transport = transport
    this.#options = options
    this.#nextId = firstStreamId ?? (role === "client" ? 1 : 2)
    const liveness = new Liveness(options)
    const outbox = new Outbox(transport, sendHighWater, maxFramePayload, timers.now)
    const pings = new Pings(timers, outbox, liveness)
    const inflow = new Inflow(transport, outbox, pings, options)
    const slots = new OpenSlots(acceptBacklog, outbox)
    const acceptor = new Acceptor(options, (error) => this.onHandlerError(error))
    const channels = new Channels(outbox, inflow, slots, options)
    const all = { options, transport, outbox, pings, inflow, liveness, slots, acceptor, channels }
    const parts = {
      ...all,
      peerIsOdd: role === "server",
      onGoAway: (code: number) => this.#onGoAwayFrame(code),
      onRoundTrip: (millis: number) => this.#guard(() => this.onRoundTrip(millis)),
      onStrayData: (id: number, bytes: number) => this.#guard(() => this.onStrayData(id, bytes)),
      end: (error: Error | undefined, ending: SessionEnd) => this.#end(error, ending)
    }
    this.#liveness = liveness
    this.#outbox = outbox
    this.#pings = pings
    this.#inflow = inflow
    this.#slots = slots
    this.#acceptor = acceptor
    this.#channels = channels
    this.#dispatcher = new Dispatcher(parts)
    this.#reader = new FrameReader(this.#dispatcher)
    this.#deadlines = new Deadlines(parts)
    outbox.deadlines = this.#deadlines
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

  /** Payload of DATA frames, as in `stats`. */
  get bytesIn(): number {
    return this.#dispatcher.bytes
  }

  get bytesOut(): number {
    return this.#outbox.payloadBytes
  }

  get stats(): SessionStats {
    return {
      streams: this.#channels.size,
      streamsOpened: this.#opened,
      streamsAccepted: this.#dispatcher.accepted,
      bytesIn: this.#dispatcher.bytes,
      bytesOut: this.#outbox.payloadBytes,
      wireBytesIn: this.#liveness.receivedBytes,
      wireBytesOut: this.#outbox.wireBytes,
      framesIn: this.#dispatcher.frames,
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
    this.#opened++
    const channel = this.#channels.open(id, true)
    this.#slots.request(channel, this.#inflow.clogged)
    return channel.stream
  }

  /** Round trip in milliseconds. Rejects with "ping_timeout", or with the session's end. */
  ping(timeoutMillis: number = this.#options.keepAliveTimeoutMillis): Promise<number> {
    return this.#closed ? Promise.reject(closedError()) : this.#pings.request(timeoutMillis)
  }

  /** Asks the peer for a sign of life, which `lastReceivedAt` and `onRoundTrip` show. Costs less than `ping`. */
  measure(): void {
    if (!this.#closed) this.#pings.measure()
  }

  /** Tells the peer to open no more streams, and refuses those that it does. Live ones go on. */
  goAway(code: number = GoAwayCode.normal): void {
    if (this.#closed) return
    this.#dispatcher.refuses = true
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
    this.#liveness.received(chunk.length)
    try {
      this.#reader.push(chunk)
    } catch (error) {
      if (!(error instanceof SessionError)) throw error
      this.#fail(error)
    }
    this.#regulate()
  }

  #onGoAwayFrame(code: number): void {
    this.#remoteGoAway = true
    this.#guard(() => this.onGoAway(code))
    if (code === GoAwayCode.normal) return
    this.#end(remoteError(code), { closeCode: CloseCode.normal })
  }

  /** After anything that may have changed what waits: whether to read, and whether a close is done. */
  #regulate(): void {
    if (this.#closed) return
    this.#inflow.regulate()
    if (this.#inflow.paused) this.#deadlines.wake()
    if (this.#closing !== undefined) this.#closeIfFlushed()
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
    this.#deadlines.stop()
    this.#cancelLinger()
    this.#reader.stop()
    this.#outbox.stop()
    this.#inflow.stop()
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
    this.#slots.clear()
    this.#acceptor.clear()
    this.#channels.fail(reason)
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
