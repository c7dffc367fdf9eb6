import { FrameType, GoAwayCode, UINT32_MAX } from "./Frame.ts"
import { Deadlines } from "./internal/Deadlines.ts"
import { Dispatcher } from "./internal/Dispatcher.ts"
import { FrameReader } from "./internal/FrameReader.ts"
import { Inflow } from "./internal/Inflow.ts"
import { Liveness } from "./internal/Liveness.ts"
import { Outbox } from "./internal/Outbox.ts"
import {
  closedError,
  CloseCode,
  endByFault,
  goAwayFrame,
  remoteError,
  transportError,
  violation
} from "./internal/SessionEnd.ts"
import type { SessionEnd } from "./internal/SessionEnd.ts"
import { StreamTable } from "./internal/StreamTable.ts"
import { resolveSessionOptions } from "./SessionOptions.ts"
import type { SessionOptions } from "./SessionOptions.ts"
import type { SessionStats } from "./SessionStats.ts"
import type { Stream } from "./Stream.ts"
import type { Transport } from "./Transport.ts"
import { SessionError } from "./YamuxError.ts"

/** Who opened the transport is the client, and has the odd stream ids. */
export type Role = "client" | "server"

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
  readonly #inflow: Inflow
  readonly #liveness: Liveness
  readonly #streams: StreamTable
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
    this.#transport = transport
    this.#options = options
    this.#nextId = options.firstStreamId ?? (role === "client" ? 1 : 2)
    const outbox = new Outbox(transport, options, () => this.#deadlines.wake())
    const liveness = new Liveness(options, outbox)
    const inflow = new Inflow(transport, outbox, liveness, options)
    const streams = new StreamTable(options, outbox, inflow, (error) => this.onHandlerError(error))
    const parts = {
      options,
      outbox,
      liveness,
      inflow,
      streams,
      peerIsOdd: role === "server",
      onGoAway: (code: number) => this.#onGoAwayFrame(code),
      onRoundTrip: (millis: number) => this.#guard(() => this.onRoundTrip(millis)),
      onStrayData: (id: number, bytes: number) => this.#guard(() => this.onStrayData(id, bytes)),
      end: (error: Error | undefined, ending: SessionEnd) => this.#end(error, ending)
    }
    this.#outbox = outbox
    this.#liveness = liveness
    this.#inflow = inflow
    this.#streams = streams
    this.#dispatcher = new Dispatcher(parts)
    this.#reader = new FrameReader(this.#dispatcher)
    this.#deadlines = new Deadlines(parts)
    transport.onDrain = () => this.#onDrain()
    transport.onClose = (error) => this.#onTransportClose(error)
    transport.onProtocolError = (message) => this.#fail(violation(message))
    transport.onData = (chunk) => this.#onData(chunk)
  }

  /** Inbound streams. Those that come before it is set wait for it, up to `acceptBacklog`. */
  get onStream(): (stream: Stream) => void {
    return this.#streams.onStream ?? ignore
  }

  set onStream(handler: (stream: Stream) => void) {
    this.#streams.onStream = handler
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
      streams: this.#streams.size,
      streamsOpened: this.#opened,
      streamsAccepted: this.#dispatcher.accepted,
      bytesIn: this.#dispatcher.bytes,
      bytesOut: this.#outbox.payloadBytes,
      wireBytesIn: this.#liveness.receivedBytes,
      wireBytesOut: this.#outbox.wireBytes,
      framesIn: this.#dispatcher.frames,
      framesOut: this.#outbox.frames,
      unreadBytes: this.#inflow.unread,
      roundTripMillis: this.#liveness.roundTrip
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
    if (this.#streams.size >= maxStreams) {
      throw new SessionError("too_many_streams", `${this.#streams.size} streams are open, the most allowed`)
    }
    const id = this.#nextId
    if (id > UINT32_MAX) throw new SessionError("streams_exhausted", `stream id ${id} exceeds ${UINT32_MAX}`)
    this.#nextId += 2
    this.#opened++
    return this.#streams.openOutbound(id).stream
  }

  /** Round trip in milliseconds. Rejects with "ping_timeout", or with the session's end. */
  ping(timeoutMillis: number = this.#options.keepAliveTimeoutMillis): Promise<number> {
    return this.#closed ? Promise.reject(closedError()) : this.#liveness.request(timeoutMillis)
  }

  /** Asks the peer for a sign of life, which `lastReceivedAt` and `onRoundTrip` show. Costs less than `ping`. */
  measure(): void {
    if (!this.#closed) this.#liveness.measure()
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
    try {
      if (chunk.length === 0) return this.#dispatcher.countUseless()
      this.#liveness.received(chunk.length)
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
    this.#outbox.drained()
    if (!this.#inflow.clogged) this.#streams.beginWaiting()
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
    if (!this.#outbox.empty) return
    for (const state of this.#streams.values()) if (state.stream.writableLength > 0) return
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
    this.#streams.fail(reason)
    this.#liveness.fail(reason)
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
