import { FrameType, HEADER_LENGTH, writeHeader } from "../Frame.ts"
import type { SessionOptions } from "../SessionOptions.ts"
import type { StreamState } from "./StreamState.ts"
import type { Transport } from "../Transport.ts"
import { SessionError } from "../YamuxError.ts"

/** Small frames of a turn leave together in messages of at most this size. */
const BATCH = 64 * 1024

/** So many bytes do not wait for the end of the round: the peer can begin with them. */
const EAGER = 32 * 1024

/** How far control frames may go past the transport's mark: windows and pings do not wait behind our bulk. */
const CONTROL_ALLOWANCE = 64 * 1024

/**
 * The mark starts here. It doubles when the transport takes as much at once, since fewer and larger writes are
 * faster, and halves when that takes long: what is in the transport is what a ping, or another stream, waits for.
 */
const LEAST_MARK = 64 * 1024
const QUICK_MILLIS = 2
const SLOW_MILLIS = 50

/** One batch is built at a time, in one buffer for the whole process; what is sent is a copy of the right size. */
let scratch: Buffer | undefined = undefined

/**
 * What waits to be sent: control frames first, then the streams in turn, a frame each.
 *
 * Everything that is queued in one round of the event loop, by however many callbacks, leaves at its end, in as few
 * messages as can be; sooner where there is much of it. Nothing leaves while the transport holds more unwritten bytes
 * than a mark, `highWater` at most, so that memory stays bounded.
 */
export class Outbox {
  readonly #transport: Transport
  readonly #options: SessionOptions
  readonly #now: () => number
  readonly #onWork: () => void
  #mark: number
  /** Since when the transport has been at the mark; 0: it is not. */
  #blockedAt = 0

  /** Control frames: type, flags, stream id and length of each, in one flat list. */
  #control: Array<number> = []
  #controlStart = 0

  /** Streams with something to send, linked by `next`. */
  #first: StreamState | undefined = undefined
  #last: StreamState | undefined = undefined

  #scheduled = false
  #hurried = false
  #flushing = false
  /** Bytes that have become ready since the last flush. */
  #ready = 0
  #stopped = false

  /** Whether the transport took anything since the last check, and since when it took nothing; 0: it did. */
  #moved = false
  #stalledAt = 0

  /** Frames, DATA payload bytes, and all bytes that were handed to the transport. */
  frames = 0
  payloadBytes = 0
  wireBytes = 0

  /** `onWork` is called when there is something to send again. */
  constructor(transport: Transport, options: SessionOptions, onWork: () => void) {
    this.#transport = transport
    this.#options = options
    this.#mark = Math.min(LEAST_MARK, options.sendHighWater)
    this.#now = options.timers.now
    this.#onWork = onWork
  }

  /** Bytes of control frames that wait. Grows only while the transport is blocked. */
  get controlBytes(): number {
    return ((this.#control.length - this.#controlStart) / 4) * HEADER_LENGTH
  }

  /** Nothing waits here; streams may still wait for window. */
  get empty(): boolean {
    return this.#first === undefined && this.#controlStart === this.#control.length
  }

  /** As `empty`, and the transport has written everything out. */
  get idle(): boolean {
    return this.empty && this.#transport.bufferedAmount === 0
  }

  control(type: number, flags: number, streamId: number, length: number): void {
    if (this.#stopped) return
    this.#control.push(type, flags, streamId, length)
    // A chunk full of requests must not queue a chunk's worth of answers.
    if (this.controlBytes >= BATCH) this.flush()
    else this.#schedule()
  }

  /** The stream has bytes and window. */
  data(stream: StreamState): void {
    if (stream.listed || this.#stopped) return
    stream.listed = true
    if (this.#last === undefined) this.#first = stream
    else this.#last.next = stream
    this.#last = stream
    this.#ready += stream.sendable
    this.#schedule()
  }

  /** The transport has written something out. */
  drained(): void {
    this.#moved = true
    this.flush()
  }

  /** Why the session has to end, if the transport has taken nothing for too long. */
  checkStall(now: number): SessionError | undefined {
    const buffered = this.#transport.bufferedAmount
    const moved = buffered === 0 || this.#moved
    this.#moved = false
    if (moved) this.#stalledAt = 0
    else if (this.#stalledAt === 0) this.#stalledAt = now
    const { writeTimeoutMillis } = this.#options
    if (moved || now - this.#stalledAt < writeTimeoutMillis) return undefined
    const message = `the peer took none of ${buffered} bytes in ${writeTimeoutMillis} ms`
    return new SessionError("write_timeout", message)
  }

  /** Sends what the transport will take now. */
  flush(): void {
    if (this.#flushing || this.#stopped) return
    this.#flushing = true
    this.#ready = 0
    if (this.#blockedAt !== 0) this.#adaptMark()
    const buffer = scratch ?? Buffer.allocUnsafeSlow(BATCH)
    scratch = undefined
    this.#transport.cork?.()
    try {
      while (this.#sendBatch(buffer)) {
        // One message after another, until there is no more to send or no room for it.
      }
    } finally {
      scratch = buffer
      this.#flushing = false
      this.#transport.uncork?.()
    }
  }

  /** Drops what waits. */
  stop(): void {
    this.#stopped = true
    this.#control = []
    this.#controlStart = 0
    this.#first = undefined
    this.#last = undefined
  }

  #schedule(): void {
    if (this.#flushing) return
    if (!this.#scheduled) {
      this.#scheduled = true
      this.#onWork()
      // After what else arrives in this round of the event loop: many sockets' messages then leave in one write.
      setImmediate(flushScheduled, this)
    }
    if (this.#ready >= EAGER && !this.#hurried) {
      this.#hurried = true
      process.nextTick(flushHurried, this)
    }
  }

  /** @internal for `flushScheduled` */
  runScheduled(): void {
    this.#scheduled = false
    this.flush()
  }

  /** @internal for `flushHurried` */
  runHurried(): void {
    this.#hurried = false
    this.flush()
  }

  #adaptMark(): void {
    if (this.#transport.bufferedAmount >= this.#mark) return
    const elapsed = this.#now() - this.#blockedAt
    this.#blockedAt = 0
    if (elapsed <= QUICK_MILLIS) this.#mark = Math.min(this.#mark * 2, this.#options.sendHighWater)
    else if (elapsed >= SLOW_MILLIS)
      this.#mark = Math.max(this.#mark / 2, Math.min(LEAST_MARK, this.#options.sendHighWater))
  }

  #sendBatch(buffer: Buffer): boolean {
    const buffered = this.#transport.bufferedAmount
    const blocked = buffered >= this.#mark
    if (blocked && this.#blockedAt === 0) this.#blockedAt = this.#now()
    let length = buffered < this.#mark + CONTROL_ALLOWANCE ? this.#writeControl(buffer, 0) : 0
    const { maxFramePayload } = this.#options
    let shared: Buffer | undefined = undefined
    let sharing: StreamState | undefined = undefined
    while (BATCH - length > HEADER_LENGTH) {
      const stream = blocked ? undefined : this.#take()
      if (stream === undefined) break
      const headerAt = length
      length += HEADER_LENGTH
      shared = stream.writes.sharedPayload(maxFramePayload)
      const payload =
        shared?.length ?? stream.writes.copyPayload(buffer, length, Math.min(maxFramePayload, BATCH - length))
      writeHeader(buffer, headerAt, FrameType.data, 0, stream.id, payload)
      this.frames++
      this.payloadBytes += payload
      if (shared !== undefined) {
        sharing = stream
        break
      }
      length += payload
      this.#after(stream)
      // What the writer did next may belong before its data: a FIN of its own, others' windows.
      length = this.#writeControl(buffer, length)
    }
    if (length === 0 || this.#stopped) return false
    const chunk = Buffer.from(buffer.subarray(0, length))
    this.wireBytes += length
    if (shared === undefined || sharing === undefined) {
      this.#transport.send(chunk)
      return !this.#stopped
    }
    this.wireBytes += shared.length
    if (this.#transport.sendJoined !== undefined) {
      this.#transport.sendJoined(chunk, shared, sharing.writes.written)
    } else {
      this.#transport.send(Buffer.concat([chunk, shared]))
      sharing.writes.written()
    }
    this.#after(sharing)
    return !this.#stopped
  }

  /** The next stream in turn that can send, out of the list. */
  #take(): StreamState | undefined {
    while (this.#first !== undefined) {
      const stream = this.#first
      this.#first = stream.next
      if (this.#first === undefined) this.#last = undefined
      stream.next = undefined
      stream.listed = false
      if (stream.sendable > 0) return stream
    }
    return undefined
  }

  #after(stream: StreamState): void {
    if (stream.sendable > 0) this.data(stream)
    stream.writes.afterSend()
  }

  #writeControl(buffer: Buffer, offset: number): number {
    const control = this.#control
    let end = offset
    while (this.#controlStart < control.length && BATCH - end >= HEADER_LENGTH) {
      const at = this.#controlStart
      end = writeHeader(
        buffer,
        end,
        control[at] ?? 0,
        control[at + 1] ?? 0,
        control[at + 2] ?? 0,
        control[at + 3] ?? 0
      )
      this.#controlStart += 4
      this.frames++
    }
    if (this.#controlStart === control.length && control.length > 0) {
      this.#control = []
      this.#controlStart = 0
    }
    return end
  }
}

const flushScheduled = (outbox: Outbox): void => outbox.runScheduled()

const flushHurried = (outbox: Outbox): void => outbox.runHurried()
