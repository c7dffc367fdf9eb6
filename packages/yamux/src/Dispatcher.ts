import type { Acceptor } from "./Acceptor.ts"
import type { Channel } from "./Channel.ts"
import type { Channels } from "./Channels.ts"
import { Flag, FrameType, INITIAL_WINDOW } from "./Frame.ts"
import type { FrameHandler } from "./FrameReader.ts"
import type { Inflow } from "./Inflow.ts"
import type { OpenSlots } from "./OpenSlots.ts"
import type { Outbox } from "./Outbox.ts"
import type { Pings } from "./Pings.ts"
import { violation } from "./SessionEnd.ts"
import type { SessionOptions } from "./SessionOptions.ts"
import { YamuxError } from "./YamuxError.ts"

/** What a dispatcher works on: the parts of its session. */
export interface DispatcherParts {
  readonly options: SessionOptions
  /** Ids of streams that the peer opens are odd. */
  readonly peerIsOdd: boolean
  readonly channels: Channels
  readonly acceptor: Acceptor
  readonly slots: OpenSlots
  readonly outbox: Outbox
  readonly inflow: Inflow
  readonly pings: Pings
  readonly onGoAway: (code: number) => void
  readonly onRoundTrip: (millis: number) => void
  readonly onStrayData: (streamId: number, bytes: number) => void
}

/** What the peer's frames do. Throws `SessionError` where they break the protocol or go past a limit. */
export class Dispatcher implements FrameHandler {
  readonly #parts: DispatcherParts
  readonly #channels: Channels
  readonly #inflow: Inflow
  /** Where the payload that is being read goes, and whether FIN comes after it. */
  #target: Channel | undefined = undefined
  #targetEnds = false
  /** We have told the peer to open no more streams. */
  refuses = false
  frames = 0
  /** Of payload. */
  bytes = 0
  accepted = 0

  constructor(parts: DispatcherParts) {
    this.#parts = parts
    // The two that every frame of data needs.
    this.#channels = parts.channels
    this.#inflow = parts.inflow
  }

  onHeader(type: number, flags: number, id: number, length: number): void {
    this.frames++
    if (type === FrameType.ping) this.#onPing(flags, length)
    else if (type === FrameType.goAway) this.#parts.onGoAway(length)
    else if (type === FrameType.data) this.#onStreamFrame(flags, id, length, 0)
    else this.#onStreamFrame(flags, id, 0, length)
  }

  onPayload(chunk: Buffer, last: boolean): void {
    this.bytes += chunk.length
    const channel = this.#target
    if (channel === undefined || channel.closed) return
    this.#inflow.unread += chunk.length
    channel.receive(chunk)
    if (last && this.#targetEnds && !channel.closed) channel.receiveEnd()
  }

  #onPing(flags: number, token: number): void {
    if ((flags & Flag.syn) !== 0) this.#parts.outbox.control(FrameType.ping, Flag.ack, 0, token)
    else if ((flags & Flag.ack) !== 0) {
      const millis = this.#parts.pings.answer(token)
      if (millis !== undefined) this.#parts.onRoundTrip(millis)
    }
  }

  #onStreamFrame(flags: number, id: number, payload: number, delta: number): void {
    this.#target = undefined
    this.#targetEnds = false
    const channel =
      (flags & Flag.syn) === 0 ? this.#channels.get(id) : this.#accept(flags, id, payload, delta)
    // Frames may cross a stream's end: they mean nothing, their payload is skipped, and nothing is answered.
    if (channel === undefined || channel.closed || channel.waiting) {
      const { maxWindow } = this.#parts.options
      if (payload > maxWindow) throw violation(`frame length ${payload} exceeds ${maxWindow}`)
      if (payload > 0) this.#parts.onStrayData(id, payload)
      return
    }
    // ACK is said to come first, but peers that never send it do answer.
    if (channel.unanswered) this.#parts.slots.release(channel)
    if ((flags & Flag.rst) !== 0) return this.#onReset(channel)
    if (payload > 0) {
      if (channel.remoteEnded) throw violation(`stream ${id} has ${payload} bytes after its end`)
      const window = channel.receiveWindow
      if (!window.receive(payload)) {
        throw violation(`frame length ${payload} on stream ${id} exceeds its window of ${window.available}`)
      }
      this.#target = channel
    }
    if (delta > 0 && (flags & Flag.syn) === 0) channel.granted(delta)
    if ((flags & Flag.fin) === 0) return
    if (channel.remoteEnded) throw violation(`stream ${id} has ended twice`)
    if (payload > 0) this.#targetEnds = true
    else channel.receiveEnd()
  }

  /** A SYN: the new channel, or nothing if it is refused. */
  #accept(flags: number, id: number, payload: number, delta: number): Channel | undefined {
    const { channels, acceptor, outbox, options, peerIsOdd } = this.#parts
    if (id === 0) throw violation("stream id 0 can not be opened")
    if ((id % 2 === 1) !== peerIsOdd) throw violation(`stream id ${id} is not the peer's to open`)
    if (channels.get(id) !== undefined) throw violation(`stream ${id} is already open`)
    if (payload > INITIAL_WINDOW) {
      throw violation(`frame length ${payload} on stream ${id} exceeds its window of ${INITIAL_WINDOW}`)
    }
    if ((flags & Flag.rst) !== 0) {
      acceptor.countReset()
      return undefined
    }
    if (acceptor.full || channels.size >= options.maxStreams || this.refuses) {
      outbox.control(FrameType.windowUpdate, Flag.rst, id, 0)
      acceptor.countReset()
      return undefined
    }
    this.accepted++
    const channel = channels.open(id, false)
    channel.sendWindow.grant(delta)
    // At once, whatever the application does: hashicorp/yamux ends the session after 75 s without it.
    outbox.control(FrameType.windowUpdate, Flag.ack, id, channel.receiveWindow.surplus)
    acceptor.deliver(channel)
    return channel
  }

  #onReset(channel: Channel): void {
    const { channels, acceptor } = this.#parts
    channel.closed = true
    channels.forget(channel)
    channel.stream.destroy(new YamuxError("ECONNRESET", `stream ${channel.id} was reset by the peer`))
    if (!channel.outbound) acceptor.countReset()
  }
}
