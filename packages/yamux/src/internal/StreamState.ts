import { ChunkQueue, unpinned } from "./ChunkQueue.ts"
import { PendingWrites, rethrowLater } from "./PendingWrites.ts"
import type { ReceiveWindow } from "./ReceiveWindow.ts"
import { Stream } from "../Stream.ts"
import type { StreamEngine, WriteCallback, WriteEntry } from "../Stream.ts"
import { YamuxError } from "../YamuxError.ts"

/** What the state of a stream asks of its session. */
export interface StreamHost {
  readonly now: () => number
  /** There are bytes to send and window to send them in. */
  sendable(state: StreamState): void
  sendFin(state: StreamState): void
  /** The stream is destroyed. Unless it was closed before, the peer has to be told. */
  abandoned(state: StreamState): void
  /** Both ends have closed. */
  finished(state: StreamState): void
  /** The application took this many bytes. */
  consumed(state: StreamState, length: number): void
  /** Received bytes that will never be read. */
  discarded(length: number): void
}

/** A payload up to this long is copied out of its message before the application sees it and may keep it. */
const COPIED_PAYLOAD = 2 * 1024

/**
 * The protocol's side of one stream: what waits to be sent and to be read, and who has closed. `stream` is the
 * application's side. Owned by the session, which alone feeds it.
 */
export class StreamState implements StreamEngine {
  readonly id: number
  readonly stream: Stream
  /** This end opened it. */
  readonly outbound: boolean
  readonly receiveWindow: ReceiveWindow
  readonly writes = new PendingWrites()

  /** Opened here, and nothing is on the wire yet: it waits for its turn. */
  waiting = false
  /** Opened here, and the peer has not answered. */
  unanswered = false
  /** Our FIN is queued or sent. */
  localEnded = false
  /** The peer's FIN has come. */
  remoteEnded = false
  /** No frame of this stream may be sent or matters any more. */
  closed = false

  /** For the open time-out. */
  readonly openedAt: number
  /** The list of streams that have something to send; `Outbox` alone writes these two. */
  next: StreamState | undefined = undefined
  listed = false

  readonly #host: StreamHost

  #incoming: ChunkQueue | undefined = undefined
  #wanted = false
  #eofPushed = false
  /** Bytes in the stream's own buffer that count as unread. */
  #pushed = 0

  /** The session's end, where the reader may finish first. */
  #failure: Error | undefined = undefined
  /** Since when the peer owes us something (window, its FIN) that lets this stream end; 0: it does not. */
  #owedSince = 0

  constructor(host: StreamHost, id: number, outbound: boolean, window: ReceiveWindow, writeAhead: number) {
    this.#host = host
    this.id = id
    this.outbound = outbound
    this.receiveWindow = window
    this.openedAt = host.now()
    this.stream = new Stream(this, writeAhead)
  }

  // Receiving

  /** Payload that the window was charged for. A listener that throws does so outside of the parser. */
  receive(chunk: Buffer): void {
    // We have said all of ours, and the peer has more to say: it is moving.
    if (this.localEnded) this.#owedSince = this.#host.now()
    if (this.#wanted && (this.#incoming === undefined || this.#incoming.length === 0)) {
      const kept = this.stream.readableFlowing !== true || this.stream.readableLength > 0
      this.#push(kept || chunk.length <= COPIED_PAYLOAD ? unpinned(chunk) : chunk)
      this.taken()
    } else {
      this.#incoming ??= new ChunkQueue()
      this.#incoming.push(chunk)
    }
  }

  /** The peer's FIN: 'end' follows what was received before it. */
  receiveEnd(): void {
    this.remoteEnded = true
    if (this.#incoming === undefined || this.#incoming.length === 0) this.#pushEof()
    if (this.localEnded) this.#host.finished(this)
  }

  pull(): void {
    this.#wanted = true
    if (this.#incoming !== undefined) {
      while (this.#wanted && !this.stream.destroyed) {
        const chunk = this.#incoming.shift()
        if (chunk === undefined) break
        this.#push(chunk)
      }
      if (this.#incoming.length === 0 && this.remoteEnded) this.#pushEof()
    }
    this.taken()
  }

  /** Credits what has left the stream's buffer since the last time. */
  taken(): void {
    // `unshift` by the application makes the buffer longer than what we put there: that is not charged.
    const consumed = this.#pushed - this.stream.readableLength
    if (consumed <= 0) return
    this.#pushed -= consumed
    this.#host.consumed(this, consumed)
  }

  /** Received and not yet read by the application, in bytes. */
  get unread(): number {
    return this.#pushed + (this.#incoming === undefined ? 0 : this.#incoming.length)
  }

  #push(chunk: Buffer): void {
    this.#pushed += chunk.length
    try {
      this.#wanted = this.stream.push(chunk)
    } catch (error) {
      rethrowLater(error)
    }
  }

  #pushEof(): void {
    if (this.#eofPushed || this.stream.destroyed) return
    this.#eofPushed = true
    this.stream.push(null)
  }

  // Sending

  write(
    chunk: Buffer | undefined,
    entries: ReadonlyArray<WriteEntry> | undefined,
    callback: WriteCallback
  ): void {
    // The session has ended while a reader still has something to read: failing this now would cost it that.
    if (this.#failure !== undefined) return this.writes.hold(callback)
    this.writes.begin(chunk, entries, callback)
    this.#offer()
  }

  /** The peer has opened its window further. */
  granted(delta: number): void {
    this.writes.grant(delta)
    if (this.writes.pending === 0) return
    if (!this.localEnded && delta > 0) this.#owedSince = 0
    this.#offer()
  }

  /** Bytes that could be framed now. */
  get sendable(): number {
    return this.waiting || this.closed ? 0 : this.writes.sendable
  }

  /** The application has ended its side, and all it wrote is on its way. */
  finish(callback: WriteCallback): void {
    this.localEnded = true
    if (this.#failure === undefined && !this.closed) {
      this.#owedSince = this.#host.now()
      if (!this.waiting) this.#host.sendFin(this)
      if (this.remoteEnded) this.#host.finished(this)
    }
    callback()
  }

  /** A waiting stream has its turn: its SYN is queued. */
  opened(): void {
    this.waiting = false
    this.unanswered = true
    if (this.localEnded) this.#host.sendFin(this)
    this.#offer()
  }

  #offer(): void {
    if (this.sendable > 0) this.#host.sendable(this)
  }

  // Ending

  /**
   * One side has closed, and for longer than `timeout` the peer has kept the other side open without moving it: it
   * does not send its FIN, or does not let us send the bytes before ours.
   */
  overdue(now: number, timeout: number): boolean {
    if (this.#owedSince === 0) {
      const stuck = this.writes.pending > 0 && this.writes.window === 0
      if (stuck && (this.remoteEnded || this.stream.writableEnded)) this.#owedSince = now
      return false
    }
    return now - this.#owedSince >= timeout
  }

  /** Waits for nothing that has a deadline, and will not begin to without sending anything. */
  get settled(): boolean {
    const owed = this.#owedSince !== 0 || this.writes.pending > 0 || this.writes.window === 0
    return !owed && !this.waiting && !this.unanswered
  }

  /** The session has ended, or the peer has reset the stream. */
  fail(error: Error): void {
    this.closed = true
    // All was received, FIN included: the reader gets it, a writer hears of the end after that.
    if (this.remoteEnded && !this.stream.readableEnded && !this.stream.destroyed) {
      this.#failure = error
      this.writes.pending = 0
      this.stream.once("end", () => {
        if (!this.stream.writableFinished) this.stream.destroy(error)
      })
      return
    }
    this.stream.destroy(error)
  }

  abandon(error: Error | null): void {
    const callback = this.writes.drop()
    const unread = this.unread
    this.#incoming = undefined
    this.#pushed = 0
    if (unread > 0) this.#host.discarded(unread)
    this.#host.abandoned(this)
    callback?.(
      error ?? new YamuxError("stream_destroyed", `stream ${this.id} was destroyed with writes pending`)
    )
  }
}
