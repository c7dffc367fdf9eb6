import type { Channel } from "./Channel.ts"
import { FrameType, HEADER_LENGTH, writeHeader } from "./Frame.ts"
import type { Transport } from "./Transport.ts"

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
 * What waits to be sent: control frames first, then the channels in turn, a frame each.
 *
 * Everything that is queued in one round of the event loop, by however many callbacks, leaves at its end, in as few
 * messages as can be; sooner where there is much of it. Nothing leaves while the transport holds more unwritten bytes
 * than a mark, `highWater` at most, so that memory stays bounded.
 */
export class Outbox {
  readonly #transport: Transport
  readonly #highWater: number
  readonly #maxPayload: number
  readonly #now: () => number
  #mark: number
  /** Since when the transport has been at the mark; 0: it is not. */
  #blockedAt = 0

  /** Control frames: type, flags, stream id and length of each, in one flat list. */
  #control: Array<number> = []
  #controlStart = 0

  /** Channels with something to send, linked by `next`. */
  #first: Channel | undefined = undefined
  #last: Channel | undefined = undefined

  #scheduled = false
  #hurried = false
  #flushing = false
  /** Bytes that have become ready since the last flush. */
  #ready = 0
  #stopped = false

  /** Told whenever there is something to send. */
  deadlines: { wake(): void } | undefined = undefined

  /** Frames, DATA payload bytes, and all bytes that were handed to the transport. */
  frames = 0
  payloadBytes = 0
  wireBytes = 0

  constructor(transport: Transport, highWater: number, maxPayload: number, now: () => number) {
    this.#transport = transport
    this.#mark = Math.min(LEAST_MARK, highWater)
    this.#now = now
    this.#highWater = highWater
    this.#maxPayload = maxPayload
  }

  /** Bytes of control frames that wait. Grows only while the transport is blocked. */
  get controlBytes(): number {
    return ((this.#control.length - this.#controlStart) / 4) * HEADER_LENGTH
  }

  /** Nothing waits here; channels may still wait for window. */
  get idle(): boolean {
    return this.#first === undefined && this.#controlStart === this.#control.length
  }

  control(type: number, flags: number, streamId: number, length: number): void {
    if (this.#stopped) return
    this.#control.push(type, flags, streamId, length)
    // A chunk full of requests must not queue a chunk's worth of answers.
    if (this.controlBytes >= BATCH) this.flush()
    else this.#schedule()
  }

  /** The channel has bytes and window. */
  data(channel: Channel): void {
    if (channel.listed || this.#stopped) return
    channel.listed = true
    if (this.#last === undefined) this.#first = channel
    else this.#last.next = channel
    this.#last = channel
    this.#ready += channel.sendable
    this.#schedule()
  }

  /** Sends what the transport will take now. Also to be called when it has drained. */
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
      this.deadlines?.wake()
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
    if (elapsed <= QUICK_MILLIS) this.#mark = Math.min(this.#mark * 2, this.#highWater)
    else if (elapsed >= SLOW_MILLIS)
      this.#mark = Math.max(this.#mark / 2, Math.min(LEAST_MARK, this.#highWater))
  }

  #sendBatch(buffer: Buffer): boolean {
    const buffered = this.#transport.bufferedAmount
    const blocked = buffered >= this.#mark
    if (blocked && this.#blockedAt === 0) this.#blockedAt = this.#now()
    let length = buffered < this.#mark + CONTROL_ALLOWANCE ? this.#writeControl(buffer, 0) : 0
    let shared: Buffer | undefined = undefined
    let sharing: Channel | undefined = undefined
    while (BATCH - length > HEADER_LENGTH) {
      const channel = blocked ? undefined : this.#take()
      if (channel === undefined) break
      const headerAt = length
      length += HEADER_LENGTH
      shared = channel.sharedPayload(this.#maxPayload)
      const payload =
        shared?.length ?? channel.copyPayload(buffer, length, Math.min(this.#maxPayload, BATCH - length))
      writeHeader(buffer, headerAt, FrameType.data, 0, channel.id, payload)
      this.frames++
      this.payloadBytes += payload
      if (shared !== undefined) {
        sharing = channel
        break
      }
      length += payload
      this.#after(channel)
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
      this.#transport.sendJoined(chunk, shared, sharing.written)
    } else {
      this.#transport.send(Buffer.concat([chunk, shared]))
      sharing.written()
    }
    this.#after(sharing)
    return !this.#stopped
  }

  /** The next channel in turn that can send, out of the list. */
  #take(): Channel | undefined {
    while (this.#first !== undefined) {
      const channel = this.#first
      this.#first = channel.next
      if (this.#first === undefined) this.#last = undefined
      channel.next = undefined
      channel.listed = false
      if (channel.sendable > 0) return channel
    }
    return undefined
  }

  #after(channel: Channel): void {
    if (channel.sendable > 0) this.data(channel)
    channel.afterSend()
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
