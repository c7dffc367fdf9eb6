import { Flag, FrameType } from "../Frame.ts"
import type { Inflow } from "./Inflow.ts"
import type { Outbox } from "./Outbox.ts"
import type { SessionOptions } from "../SessionOptions.ts"
import type { Stream } from "../Stream.ts"
import { StreamState } from "./StreamState.ts"
import type { StreamHost } from "./StreamState.ts"
import { YamuxError } from "../YamuxError.ts"

/** What the writer of any stream may fill. */
const LEAST_WRITE_AHEAD = 16 * 1024

/**
 * The streams of a session: which are open, which own ones wait to be opened, which inbound ones wait for the
 * application, and what becomes of them.
 */
export class StreamTable implements StreamHost {
  readonly now: () => number
  readonly #options: SessionOptions
  readonly #outbox: Outbox
  readonly #inflow: Inflow
  readonly #onHandlerError: (error: unknown) => void
  readonly #open = new Map<number, StreamState>()
  /** Closed on both sides, and not read to the end. */
  #unread: Set<StreamState> | undefined = undefined
  /** What the streams' writers may fill, all together. */
  #writeAhead = 0

  /**
   * Own streams that the peer has not answered: no more than it is said to hold for its application to accept. One
   * past that waits, and nothing of it is sent.
   */
  #unanswered = 0
  #waiting: Array<StreamState> | undefined = undefined

  #onStream: ((stream: Stream) => void) | undefined = undefined
  /** Inbound streams that came before there was a handler. */
  #undelivered: Array<StreamState> | undefined = undefined

  constructor(
    options: SessionOptions,
    outbox: Outbox,
    inflow: Inflow,
    onHandlerError: (error: unknown) => void
  ) {
    this.now = options.timers.now
    this.#options = options
    this.#outbox = outbox
    this.#inflow = inflow
    this.#onHandlerError = onHandlerError
  }

  get size(): number {
    return this.#open.size
  }

  get(id: number): StreamState | undefined {
    return this.#open.get(id)
  }

  values(): IterableIterator<StreamState> {
    return this.#open.values()
  }

  /** An own stream: its SYN goes out now, or when the peer has answered others. */
  openOutbound(id: number): StreamState {
    const state = this.#add(id, true)
    state.waiting = true
    if (this.#inflow.clogged || this.#unanswered >= this.#options.acceptBacklog) {
      this.#waiting ??= []
      this.#waiting.push(state)
    } else this.#begin(state)
    return state
  }

  /** A stream that the peer has opened. `deliver` gives it to the application. */
  openInbound(id: number): StreamState {
    return this.#add(id, false)
  }

  #add(id: number, outbound: boolean): StreamState {
    const { sessionBudget } = this.#options
    // A few streams may hold much each, many only little, all together half of the budget or the least there is.
    const share = Math.max((sessionBudget / 2 - this.#writeAhead) / 16, LEAST_WRITE_AHEAD)
    const writeAhead = Math.min(Math.floor(share), this.#options.writeAhead)
    this.#writeAhead += writeAhead
    const state = new StreamState(this, id, outbound, this.#inflow.open(), writeAhead)
    this.#open.set(id, state)
    return state
  }

  // Own streams on their way to the peer

  #begin(state: StreamState): void {
    this.#unanswered++
    this.#outbox.control(FrameType.windowUpdate, Flag.syn, state.id, state.receiveWindow.surplus)
    state.opened()
  }

  /** The peer has answered, or the stream has ended without: the next one may begin. */
  answered(state: StreamState): void {
    if (state.waiting) {
      this.#waiting = this.#waiting?.filter((other) => other !== state)
    } else if (state.unanswered) {
      state.unanswered = false
      this.#unanswered--
      this.beginWaiting()
    }
  }

  beginWaiting(): void {
    while (this.#unanswered < this.#options.acceptBacklog) {
      const next = this.#waiting?.shift()
      if (next === undefined) return
      this.#begin(next)
    }
  }

  // Inbound streams on their way to the application

  get onStream(): ((stream: Stream) => void) | undefined {
    return this.#onStream
  }

  set onStream(handler: ((stream: Stream) => void) | undefined) {
    this.#onStream = handler
    const undelivered = this.#undelivered
    this.#undelivered = undefined
    for (const state of undelivered ?? []) if (!state.stream.destroyed) this.deliver(state)
  }

  /** No further inbound stream can be taken. */
  get full(): boolean {
    const { acceptBacklog, maxStreams } = this.#options
    if (this.#open.size >= maxStreams) return true
    return this.#onStream === undefined && (this.#undelivered?.length ?? 0) >= acceptBacklog
  }

  /** A handler that throws costs its stream, not the session. */
  deliver(state: StreamState): void {
    if (this.#onStream === undefined) {
      this.#undelivered ??= []
      this.#undelivered.push(state)
      return
    }
    try {
      this.#onStream(state.stream)
    } catch (error) {
      const message = `the handler of stream ${state.id} threw`
      state.stream.destroy(new YamuxError("handler_failed", message, { cause: error }))
      this.#onHandlerError(error)
    }
  }

  // Ends

  /** No frame of it matters any more. */
  forget(state: StreamState): void {
    state.closed = true
    if (this.#open.delete(state.id)) {
      this.#inflow.close(state.receiveWindow)
      this.#writeAhead -= state.stream.writableHighWaterMark
    }
    this.answered(state)
  }

  /** The one with the most unread bytes. */
  get fullest(): StreamState | undefined {
    let fullest: StreamState | undefined = undefined
    for (const state of [...this.#open.values(), ...(this.#unread ?? [])]) {
      if (fullest === undefined || state.unread > fullest.unread) fullest = state
    }
    return fullest
  }

  /** The session has ended. */
  fail(error: Error): void {
    this.#waiting = undefined
    this.#undelivered = undefined
    const states = [...this.#open.values()]
    this.#open.clear()
    for (const state of states) state.fail(error)
  }

  // What a stream asks for

  sendable(state: StreamState): void {
    this.#outbox.data(state)
  }

  sendFin(state: StreamState): void {
    this.#outbox.control(FrameType.windowUpdate, Flag.fin, state.id, 0)
  }

  finished(state: StreamState): void {
    this.forget(state)
    if (state.unread === 0) return
    this.#unread ??= new Set()
    this.#unread.add(state)
  }

  abandoned(state: StreamState): void {
    this.#unread?.delete(state)
    if (state.closed) return
    if (!state.waiting) this.#outbox.control(FrameType.windowUpdate, Flag.rst, state.id, 0)
    this.forget(state)
  }

  consumed(state: StreamState, length: number): void {
    this.#inflow.release(length)
    // A peer that has sent its FIN needs no window.
    if (state.closed || state.remoteEnded) return
    const granted = this.#inflow.consume(state.receiveWindow, length)
    if (granted > 0) this.#outbox.control(FrameType.windowUpdate, 0, state.id, granted)
  }

  discarded(length: number): void {
    this.#inflow.release(length)
  }
}
