import type { Liveness } from "./Liveness.ts"
import type { Outbox } from "./Outbox.ts"
import { ReceiveWindow } from "./ReceiveWindow.ts"
import type { SessionOptions } from "../SessionOptions.ts"
import type { Transport } from "../Transport.ts"

/** Answers that wait because the peer does not read: past this we stop reading its questions. */
const CONTROL_LIMIT = 64 * 1024

/** The round trip is measured while a stream is busy (half a window in so short a time), and not more often. */
const BUSY_MILLIS = 1_000
const MEASURE_INTERVAL = 10_000

/**
 * A window is too small if half of it is consumed in so many round trips: then it, and not the path, may be
 * what holds the sender back. libp2p's implementations use the same number.
 */
const GROWTH_ROUND_TRIPS = 4

/** What a session takes in: its streams' receive windows, the bytes that nobody has read, and when to stop. */
export class Inflow {
  readonly #transport: Transport
  readonly #outbox: Outbox
  readonly #liveness: Liveness
  readonly #options: SessionOptions
  /** Received, and not read by the application. */
  unread = 0
  /** Sum of the sizes of the receive windows. */
  #windows = 0
  /** Since when reading is paused; 0: it is not. */
  #pausedAt = 0

  constructor(transport: Transport, outbox: Outbox, liveness: Liveness, options: SessionOptions) {
    this.#transport = transport
    this.#outbox = outbox
    this.#liveness = liveness
    this.#options = options
  }

  get paused(): boolean {
    return this.#pausedAt !== 0
  }

  /** Whether the peer takes so little that new work had better wait. */
  get clogged(): boolean {
    return this.#outbox.controlBytes > CONTROL_LIMIT
  }

  open(): ReceiveWindow {
    const window = new ReceiveWindow(this.#options.initialWindow, this.#options.timers.now())
    this.#windows += window.size
    return window
  }

  close(window: ReceiveWindow): void {
    this.#windows -= window.size
  }

  /** Bytes were read, or will never be. */
  release(length: number): void {
    this.unread -= length
    if (this.paused) this.regulate()
  }

  /** The application has read so many bytes: answers what to grant the peer now, if anything. */
  consume(window: ReceiveWindow, length: number): number {
    window.consume(length)
    if (!window.due) return 0
    const now = this.#options.timers.now()
    const growth = this.#growth(window, now)
    this.#windows += growth
    return window.grant(now, growth)
  }

  /** Stops reading while the application, or the peer, leaves us with more than our share, and resumes. */
  regulate(): void {
    const full = this.unread > this.#options.sessionBudget || this.clogged
    if (full === this.paused) return
    if (full) {
      this.#pausedAt = this.#options.timers.now()
      this.#transport.pause()
    } else {
      this.#pausedAt = 0
      this.#transport.resume()
    }
  }

  /** There is nothing to read any more. */
  stop(): void {
    this.#pausedAt = 0
  }

  /** Whether unread bytes have kept us from reading for longer than is allowed. */
  starved(now: number): boolean {
    const full = this.paused && this.unread > this.#options.sessionBudget
    return full && now - this.#pausedAt >= this.#options.readTimeoutMillis
  }

  /** What to add to a window that is too small: it doubles, within its limit and the session's. */
  #growth(window: ReceiveWindow, now: number): number {
    const elapsed = window.elapsed(now)
    const { measuredAt, roundTrip } = this.#liveness
    if (elapsed < BUSY_MILLIS && now - measuredAt > MEASURE_INTERVAL) this.#liveness.measure()
    if (roundTrip === undefined || elapsed > roundTrip * GROWTH_ROUND_TRIPS) return 0
    const { maxWindow, sessionBudget } = this.#options
    return Math.max(0, Math.min(window.size, maxWindow - window.size, sessionBudget - this.#windows))
  }
}
