import { INITIAL_WINDOW } from "../Frame.ts"

/**
 * What one peer may still send us on one stream.
 *
 * At all times: bytes the peer may send + bytes received and unread + bytes consumed and not granted
 * again = `size`. So the unread bytes of a stream never pass its size.
 */
export class ReceiveWindow {
  #size: number
  #available: number
  #consumed = 0
  #grantedAt: number

  /** `size` beyond the protocol's initial window has to be told to the peer: see `surplus`. */
  constructor(size: number, now: number) {
    this.#size = size
    this.#available = size
    this.#grantedAt = now
  }

  get size(): number {
    return this.#size
  }

  get available(): number {
    return this.#available
  }

  /** What the first frame of the stream, SYN or ACK, adds to the initial window. */
  get surplus(): number {
    return this.#size - INITIAL_WINDOW
  }

  /** Charges a frame's payload. False: the peer has sent more than it may, and nothing is charged. */
  receive(length: number): boolean {
    if (length > this.#available) return false
    this.#available -= length
    return true
  }

  consume(length: number): void {
    this.#consumed += length
  }

  /** Whether half the window was consumed: the moment to grant, early enough that a sender need not stop. */
  get due(): boolean {
    return this.#consumed * 2 >= this.#size
  }

  /** Milliseconds in which the bytes consumed since the last grant were consumed. */
  elapsed(now: number): number {
    return now - this.#grantedAt
  }

  /** Grants what was consumed, and `growth` more. Answers the number to send. */
  grant(now: number, growth: number): number {
    const delta = this.#consumed + growth
    this.#size += growth
    this.#available += delta
    this.#consumed = 0
    this.#grantedAt = now
    return delta
  }
}
