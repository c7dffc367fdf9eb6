import { Flag, FrameType, INITIAL_WINDOW } from "../Frame.ts"
import type { FrameHandler } from "./FrameReader.ts"
import type { Inflow } from "./Inflow.ts"
import type { Liveness } from "./Liveness.ts"
import type { Outbox } from "./Outbox.ts"
import { violation } from "./SessionEnd.ts"
import type { SessionOptions } from "../SessionOptions.ts"
import type { StreamState } from "./StreamState.ts"
import type { StreamTable } from "./StreamTable.ts"
import { SessionError, YamuxError } from "../YamuxError.ts"

/** The flags by which a frame ends a side of its stream, or all of it. */
const CLOSING = Flag.fin | Flag.rst

/** What a dispatcher works on: the parts of its session. */
export interface DispatcherParts {
  readonly options: SessionOptions
  /** Ids of streams that the peer opens are odd. */
  readonly peerIsOdd: boolean
  readonly streams: StreamTable
  readonly outbox: Outbox
  readonly inflow: Inflow
  readonly liveness: Liveness
  readonly onGoAway: (code: number) => void
  readonly onRoundTrip: (millis: number) => void
  readonly onStrayData: (streamId: number, bytes: number) => void
}

/** What the peer's frames do. Throws `SessionError` where they break the protocol or go past a limit. */
export class Dispatcher implements FrameHandler {
  readonly #parts: DispatcherParts
  readonly #streams: StreamTable
  readonly #inflow: Inflow
  /** Where the payload that is being read goes, and whether FIN comes after it. */
  #target: StreamState | undefined = undefined
  #targetEnds = false
  #resets: TokenBucket | undefined = undefined
  #useless: TokenBucket | undefined = undefined
  /** The peer has said that it takes no new streams: to say it again tells nothing. */
  #goneAway = false
  /** We have told the peer to open no more streams. */
  refuses = false
  frames = 0
  /** Of payload. */
  bytes = 0
  accepted = 0

  constructor(parts: DispatcherParts) {
    this.#parts = parts
    // The two that every frame of data needs.
    this.#streams = parts.streams
    this.#inflow = parts.inflow
  }

  onHeader(type: number, flags: number, id: number, length: number): void {
    this.frames++
    if (type === FrameType.ping) this.#onPing(flags, length)
    else if (type === FrameType.goAway) this.#onGoAway(length)
    else if (type === FrameType.data) this.#onStreamFrame(flags, id, length, 0)
    else this.#onStreamFrame(flags, id, 0, length)
  }

  onPayload(chunk: Buffer, last: boolean): void {
    this.bytes += chunk.length
    const state = this.#target
    if (state === undefined || state.closed) return
    this.#inflow.unread += chunk.length
    state.receive(chunk)
    if (last && this.#targetEnds && !state.closed) state.receiveEnd()
  }

  /** A frame, or a transport's message, that moved nothing. Throws when there are too many of them. */
  countUseless(): void {
    const { uselessFrameBurst, uselessFramesPerSecond, timers } = this.#parts.options
    this.#useless ??= new TokenBucket(uselessFrameBurst, uselessFramesPerSecond, timers.now)
    if (this.#useless.take()) return
    const message = `more than ${uselessFrameBurst} frames moved nothing, or ${uselessFramesPerSecond} a second`
    throw new SessionError("too_many_useless_frames", message)
  }

  /** Streams that are opened only to be reset or refused cost us more than the peer. Throws when there are too many. */
  #countReset(): void {
    const { resetBurst, resetsPerSecond, timers } = this.#parts.options
    this.#resets ??= new TokenBucket(resetBurst, resetsPerSecond, timers.now)
    if (this.#resets.take()) return
    const message = `more than ${resetBurst} streams were reset at once, or ${resetsPerSecond} a second`
    throw new SessionError("too_many_resets", message)
  }

  #onPing(flags: number, token: number): void {
    if ((flags & Flag.syn) !== 0) {
      this.countUseless()
      return this.#parts.outbox.control(FrameType.ping, Flag.ack, 0, token)
    }
    const answered = (flags & Flag.ack) !== 0 && this.#parts.liveness.answer(token)
    if (answered === false) this.countUseless()
    else if (answered !== true) this.#parts.onRoundTrip(answered)
  }

  #onGoAway(code: number): void {
    if (this.#goneAway) this.countUseless()
    this.#goneAway = true
    this.#parts.onGoAway(code)
  }

  #onStreamFrame(flags: number, id: number, payload: number, delta: number): void {
    this.#target = undefined
    this.#targetEnds = false
    const syn = (flags & Flag.syn) !== 0
    const state = syn ? this.#accept(flags, id, payload, delta) : this.#streams.get(id)
    // Frames may cross a stream's end: they mean nothing, their payload is skipped, and nothing is answered.
    if (state === undefined || state.closed || state.waiting) return this.#onStray(syn, id, payload)
    // ACK is said to come first, but peers that never send it do answer.
    if (state.unanswered) this.#streams.answered(state)
    else if (!syn && (flags & CLOSING) === 0 && payload === 0) {
      // A window update is due after something was sent; any other, and empty data, tell nothing.
      if (delta === 0 || !state.writes.sentSinceGrant) this.countUseless()
    }
    if ((flags & Flag.rst) !== 0) return this.#onReset(state)
    if (payload > 0) {
      if (state.remoteEnded) throw violation(`stream ${id} has ${payload} bytes after its end`)
      const window = state.receiveWindow
      if (!window.receive(payload)) {
        throw violation(`frame length ${payload} on stream ${id} exceeds its window of ${window.available}`)
      }
      this.#target = state
    }
    if (delta > 0 && !syn) state.granted(delta)
    if ((flags & Flag.fin) === 0) return
    if (state.remoteEnded) throw violation(`stream ${id} has ended twice`)
    if (payload > 0) this.#targetEnds = true
    else state.receiveEnd()
  }

  /** A frame for a stream that is not open. A refused SYN was counted already. */
  #onStray(syn: boolean, id: number, payload: number): void {
    const { maxWindow } = this.#parts.options
    if (payload > maxWindow) throw violation(`frame length ${payload} exceeds ${maxWindow}`)
    if (!syn) this.countUseless()
    if (payload > 0) this.#parts.onStrayData(id, payload)
  }

  /** A SYN: the new stream, or nothing if it is refused. */
  #accept(flags: number, id: number, payload: number, delta: number): StreamState | undefined {
    const { streams, outbox, peerIsOdd } = this.#parts
    if (id === 0) throw violation("stream id 0 can not be opened")
    if ((id % 2 === 1) !== peerIsOdd) throw violation(`stream id ${id} is not the peer's to open`)
    if (streams.get(id) !== undefined) throw violation(`stream ${id} is already open`)
    if (payload > INITIAL_WINDOW) {
      throw violation(`frame length ${payload} on stream ${id} exceeds its window of ${INITIAL_WINDOW}`)
    }
    if ((flags & Flag.rst) !== 0) {
      this.#countReset()
      return undefined
    }
    if (streams.full || this.refuses) {
      outbox.control(FrameType.windowUpdate, Flag.rst, id, 0)
      this.#countReset()
      return undefined
    }
    this.accepted++
    const state = streams.openInbound(id)
    state.writes.grant(delta)
    // At once, whatever the application does: hashicorp/yamux ends the session after 75 s without it.
    outbox.control(FrameType.windowUpdate, Flag.ack, id, state.receiveWindow.surplus)
    streams.deliver(state)
    return state
  }

  #onReset(state: StreamState): void {
    state.closed = true
    this.#streams.forget(state)
    state.stream.destroy(new YamuxError("ECONNRESET", `stream ${state.id} was reset by the peer`))
    if (!state.outbound) this.#countReset()
  }
}

/** Allows `burst` events at once, and `perSecond` from then on. */
class TokenBucket {
  readonly #burst: number
  readonly #perSecond: number
  readonly #now: () => number
  #tokens: number
  #filledAt: number

  constructor(burst: number, perSecond: number, now: () => number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#now = now
    this.#tokens = burst
    this.#filledAt = now()
  }

  /** False: that is one too many. The clock is read only when no token is left. */
  take(): boolean {
    if (this.#tokens < 1) this.#refill()
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  #refill(): void {
    const now = this.#now()
    const earned = ((now - this.#filledAt) / 1000) * this.#perSecond
    this.#tokens = Math.min(this.#burst, this.#tokens + earned)
    this.#filledAt = now
  }
}
