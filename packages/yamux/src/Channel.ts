import { ChunkQueue, unpinned } from "./ChunkQueue.ts"
import type { ReceiveWindow } from "./ReceiveWindow.ts"
import { SendWindow } from "./SendWindow.ts"
import { Stream } from "./Stream.ts"
import type { WriteCallback, WriteEntry } from "./Stream.ts"
import { YamuxError } from "./YamuxError.ts"

/** What a channel asks of its session. */
export interface ChannelHost {
  readonly now: () => number
  /** There are bytes to send and window to send them in. */
  sendable(channel: Channel): void
  sendFin(channel: Channel): void
  /** The stream is destroyed. Unless it was closed before that, the peer is to be told. */
  abandoned(channel: Channel): void
  /** Both ends have closed. */
  finished(channel: Channel): void
  /** The application took this many bytes. */
  consumed(channel: Channel, length: number): void
  /** Bytes that were received and will not be read. */
  discarded(length: number): void
}

/** A payload at least this long is framed where it lies; a shorter one is copied beside its header. */
const SHARED_PAYLOAD = 4 * 1024

/** A payload up to this long is copied out of its message before the application sees it and may keep it. */
const COPIED_PAYLOAD = 2 * 1024

const EMPTY: ReadonlyArray<WriteEntry> = []

/**
 * The protocol's side of one stream: windows, what waits to be sent, what waits to be read, who has closed.
 * `stream` is the application's side. Owned by the session, which alone feeds it.
 */
export class Channel {
  readonly id: number
  readonly stream: Stream
  /** Whether this end opened it. */
  readonly outbound: boolean
  readonly receiveWindow: ReceiveWindow
  readonly sendWindow = new SendWindow()

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

  /** When it was opened, for the open time-out. */
  readonly openedAt: number
  /** The list of channels that have something to send. */
  next: Channel | undefined = undefined
  listed = false

  readonly #host: ChannelHost

  #incoming: ChunkQueue | undefined = undefined
  #wanted = false
  #eofPushed = false
  /** Bytes in the stream's own buffer that count as unread. */
  #pushed = 0

  #chunk: Buffer | undefined = undefined
  #entries: ReadonlyArray<WriteEntry> = EMPTY
  #index = 0
  #offset = 0
  #pending = 0
  /** Shared payloads that the transport has not written out. */
  #inFlight = 0
  #callback: WriteCallback | undefined = undefined
  #written: (() => void) | undefined = undefined
  /** The session's end, where the reader is left to finish first. */
  #failure: Error | undefined = undefined
  /** Since when the peer owes us something (window, its FIN) that lets this stream end; 0: it does not. */
  #owedSince = 0

  constructor(host: ChannelHost, id: number, outbound: boolean, window: ReceiveWindow, writeAhead: number) {
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
    // All of ours is said, and the peer has more to say: it is moving.
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

  /** The stream wants to read. */
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

  /** Received and not yet read by the application. */
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

  /** One write, or several that waited together. `callback` once every byte is on its way. */
  write(
    chunk: Buffer | undefined,
    entries: ReadonlyArray<WriteEntry> | undefined,
    callback: WriteCallback
  ): void {
    // The session has ended while a reader still has something to read: failing this now would cost it that.
    if (this.#failure !== undefined) {
      this.#callback = callback
      return
    }
    this.#chunk = chunk
    this.#entries = entries ?? EMPTY
    this.#index = 0
    this.#offset = 0
    this.#pending = chunk?.length ?? 0
    for (const entry of this.#entries) this.#pending += entry.chunk.length
    this.#callback = callback
    if (this.#pending === 0) return this.#settle()
    this.#offer()
  }

  /** The peer has opened its window further. */
  granted(delta: number): void {
    this.sendWindow.grant(delta)
    if (this.#pending === 0) return
    if (!this.localEnded && delta > 0) this.#owedSince = 0
    this.#offer()
  }

  /** Bytes that could be framed now. */
  get sendable(): number {
    return this.waiting || this.closed ? 0 : Math.min(this.#pending, this.sendWindow.available)
  }

  /** The next payload of at most `limit` bytes, where it is long enough to be sent without a copy. */
  sharedPayload(limit: number): Buffer | undefined {
    const chunk = this.#current()
    if (chunk === undefined) return undefined
    const length = Math.min(chunk.length - this.#offset, limit, this.sendWindow.available)
    if (length < SHARED_PAYLOAD) return undefined
    const payload = length === chunk.length ? chunk : chunk.subarray(this.#offset, this.#offset + length)
    this.#advance(length)
    this.#inFlight++
    return payload
  }

  /** Copies a payload of at most `limit` bytes, of one write or many; answers its length. */
  copyPayload(target: Buffer, offset: number, limit: number): number {
    const room = Math.min(limit, this.sendWindow.available)
    let copied = 0
    while (copied < room) {
      const chunk = this.#current()
      if (chunk === undefined) break
      if (copied > 0 && chunk.length - this.#offset >= SHARED_PAYLOAD) break
      const length = chunk.copy(target, offset + copied, this.#offset, this.#offset + room - copied)
      copied += length
      this.#advance(length)
    }
    return copied
  }

  /** After a payload was taken: the writer goes on once all of it is on its way. */
  afterSend(): void {
    if (this.#pending === 0) this.#settle()
  }

  /** For the transport, to be called when a shared payload was written out. */
  get written(): () => void {
    this.#written ??= () => {
      this.#inFlight--
      if (this.#pending === 0) this.#settle()
    }
    return this.#written
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

  /** A waiting channel has its turn: its SYN is queued. */
  opened(): void {
    this.waiting = false
    this.unanswered = true
    if (this.localEnded) this.#host.sendFin(this)
    this.#offer()
  }

  // Ending

  /**
   * Whether one side has closed and the peer has kept the other open for longer than `timeout` without
   * moving it: it does not send its FIN, or lets us not send the bytes before ours.
   */
  overdue(now: number, timeout: number): boolean {
    if (this.#owedSince === 0) {
      const stuck = this.#pending > 0 && this.sendWindow.available === 0
      if (stuck && (this.remoteEnded || this.stream.writableEnded)) this.#owedSince = now
      return false
    }
    return now - this.#owedSince >= timeout
  }

  /** Whether it waits for nothing that has a deadline, and comes to without sending anything. */
  get settled(): boolean {
    const owed = this.#owedSince !== 0 || this.#pending > 0 || this.sendWindow.available === 0
    return !owed && !this.waiting && !this.unanswered
  }

  /** The session has ended, or the peer has reset the stream. */
  fail(error: Error): void {
    this.closed = true
    // All was received, FIN included: the reader gets it, a writer hears of the end after that.
    if (this.remoteEnded && !this.stream.readableEnded && !this.stream.destroyed) {
      this.#failure = error
      this.#pending = 0
      this.stream.once("end", () => {
        if (!this.stream.writableFinished) this.stream.destroy(error)
      })
      return
    }
    this.stream.destroy(error)
  }

  /** From the stream's destruction, whoever asked for it. */
  abandon(error: Error | null): void {
    const callback = this.#callback
    this.#dropWrites()
    const unread = this.unread
    this.#incoming = undefined
    this.#pushed = 0
    if (unread > 0) this.#host.discarded(unread)
    this.#host.abandoned(this)
    callback?.(
      error ?? new YamuxError("stream_destroyed", `stream ${this.id} was destroyed with writes pending`)
    )
  }

  #dropWrites(): void {
    this.#chunk = undefined
    this.#entries = EMPTY
    this.#pending = 0
    this.#callback = undefined
  }

  #offer(): void {
    if (this.sendable > 0) this.#host.sendable(this)
  }

  #settle(): void {
    if (this.#inFlight > 0) return
    const callback = this.#callback
    this.#chunk = undefined
    this.#entries = EMPTY
    this.#callback = undefined
    try {
      callback?.()
    } catch (error) {
      rethrowLater(error)
    }
  }

  #current(): Buffer | undefined {
    return this.#chunk ?? this.#entries[this.#index]?.chunk
  }

  #advance(length: number): void {
    this.#pending -= length
    this.sendWindow.spend(length)
    this.#offset += length
    const chunk = this.#current()
    if (chunk === undefined || this.#offset < chunk.length) return
    this.#offset = 0
    if (this.#chunk === undefined) this.#index++
    else this.#chunk = undefined
  }
}

/** A listener's own fault is the process's affair, as with any emitter, but not in the middle of a frame. */
const rethrowLater = (error: unknown): void => {
  process.nextTick(() => {
    throw error
  })
}
