import { INITIAL_WINDOW, UINT32_MAX } from "../Frame.ts"
import type { WriteCallback, WriteEntry } from "../Stream.ts"

/** A payload at least this long is framed where it lies; a shorter one is copied beside its header. */
const SHARED_PAYLOAD = 4 * 1024

const EMPTY: ReadonlyArray<WriteEntry> = []

/** What one stream has to send: the write under way, and the window that the peer has opened for it. */
export class PendingWrites {
  /** Bytes of payload that the peer lets us send. */
  window = INITIAL_WINDOW
  /** Payload was sent since the peer last opened the window: the next window update answers something. */
  sentSinceGrant = false
  /** Bytes of the write under way that are not framed yet. */
  pending = 0

  #chunk: Buffer | undefined = undefined
  #entries: ReadonlyArray<WriteEntry> = EMPTY
  #index = 0
  #offset = 0
  /** Shared payloads that the transport has not written out. */
  #inFlight = 0
  #callback: WriteCallback | undefined = undefined
  #written: (() => void) | undefined = undefined

  /** Bytes that the window lets go out now. */
  get sendable(): number {
    return Math.min(this.pending, this.window)
  }

  /** Saturates at 2^32 - 1: a peer that grants more means "no limit", and must not wrap round to none. */
  grant(delta: number): void {
    this.window = Math.min(this.window + delta, UINT32_MAX)
    this.sentSinceGrant = false
  }

  /** One chunk, or several that waited together. `callback` once every byte is on its way. */
  begin(
    chunk: Buffer | undefined,
    entries: ReadonlyArray<WriteEntry> | undefined,
    callback: WriteCallback
  ): void {
    this.#chunk = chunk
    this.#entries = entries ?? EMPTY
    this.#index = 0
    this.#offset = 0
    this.pending = chunk?.length ?? 0
    for (const entry of this.#entries) this.pending += entry.chunk.length
    this.#callback = callback
    if (this.pending === 0) this.#settle()
  }

  /** Keeps the callback of a write of which nothing will be sent, for `drop`. */
  hold(callback: WriteCallback): void {
    this.#callback = callback
  }

  /** The next payload of at most `limit` bytes, where it is long enough to be sent without a copy. */
  sharedPayload(limit: number): Buffer | undefined {
    const chunk = this.#current()
    if (chunk === undefined) return undefined
    const length = Math.min(chunk.length - this.#offset, limit, this.window)
    if (length < SHARED_PAYLOAD) return undefined
    const payload = length === chunk.length ? chunk : chunk.subarray(this.#offset, this.#offset + length)
    this.#advance(length)
    this.#inFlight++
    return payload
  }

  /** Copies a payload of at most `limit` bytes, of one write or many. Returns its length. */
  copyPayload(target: Buffer, offset: number, limit: number): number {
    const room = Math.min(limit, this.window)
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
    if (this.pending === 0) this.#settle()
  }

  /** For the transport, to be called when a shared payload was written out. */
  get written(): () => void {
    this.#written ??= () => {
      this.#inFlight--
      if (this.pending === 0) this.#settle()
    }
    return this.#written
  }

  /** Drops what is not framed yet. Returns the callback of the write, which is now the caller's to call. */
  drop(): WriteCallback | undefined {
    const callback = this.#callback
    this.#chunk = undefined
    this.#entries = EMPTY
    this.pending = 0
    this.#callback = undefined
    return callback
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
    this.pending -= length
    this.window -= length
    this.sentSinceGrant = true
    this.#offset += length
    const chunk = this.#current()
    if (chunk === undefined || this.#offset < chunk.length) return
    this.#offset = 0
    if (this.#chunk === undefined) this.#index++
    else this.#chunk = undefined
  }
}

/** An error that a listener throws is the process's affair, as with any emitter, but not inside a frame. */
export const rethrowLater = (error: unknown): void => {
  process.nextTick(() => {
    throw error
  })
}
