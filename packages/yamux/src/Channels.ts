import { Channel } from "./Channel.ts"
import type { ChannelHost } from "./Channel.ts"
import { Flag, FrameType } from "./Frame.ts"
import type { Inflow } from "./Inflow.ts"
import type { OpenSlots } from "./OpenSlots.ts"
import type { Outbox } from "./Outbox.ts"
import type { SessionOptions } from "./SessionOptions.ts"

/** What the writer of any stream may fill. */
const LEAST_WRITE_AHEAD = 16 * 1024

/** The streams of a session: which are open, what they hold of its memory, and what becomes of them. */
export class Channels implements ChannelHost {
  readonly now: () => number
  readonly #options: SessionOptions
  readonly #outbox: Outbox
  readonly #inflow: Inflow
  readonly #slots: OpenSlots
  readonly #open = new Map<number, Channel>()
  /** Closed on both sides, and not read to the end. */
  #unread: Set<Channel> | undefined = undefined
  /** What the streams' writers may fill, all together. */
  #writeAhead = 0

  constructor(outbox: Outbox, inflow: Inflow, slots: OpenSlots, options: SessionOptions) {
    this.now = options.timers.now
    this.#options = options
    this.#outbox = outbox
    this.#inflow = inflow
    this.#slots = slots
  }

  get size(): number {
    return this.#open.size
  }

  get(id: number): Channel | undefined {
    return this.#open.get(id)
  }

  values(): IterableIterator<Channel> {
    return this.#open.values()
  }

  open(id: number, outbound: boolean): Channel {
    const { sessionBudget } = this.#options
    // A few streams may hold much each, many only little, all together half of the budget or the least there is.
    const share = Math.max((sessionBudget / 2 - this.#writeAhead) / 16, LEAST_WRITE_AHEAD)
    const writeAhead = Math.min(Math.floor(share), this.#options.writeAhead)
    this.#writeAhead += writeAhead
    const channel = new Channel(this, id, outbound, this.#inflow.open(), writeAhead)
    this.#open.set(id, channel)
    return channel
  }

  /** No frame of it matters any more. */
  forget(channel: Channel): void {
    channel.closed = true
    if (this.#open.delete(channel.id)) {
      this.#inflow.close(channel.receiveWindow)
      this.#writeAhead -= channel.stream.writableHighWaterMark
    }
    this.#slots.release(channel)
  }

  /** The one with the most unread bytes. */
  get fullest(): Channel | undefined {
    let fullest: Channel | undefined = undefined
    for (const channel of [...this.#open.values(), ...(this.#unread ?? [])]) {
      if (fullest === undefined || channel.unread > fullest.unread) fullest = channel
    }
    return fullest
  }

  /** The session has ended. */
  fail(error: Error): void {
    const channels = [...this.#open.values()]
    this.#open.clear()
    for (const channel of channels) channel.fail(error)
  }

  // What a channel asks for

  sendable(channel: Channel): void {
    this.#outbox.data(channel)
  }

  sendFin(channel: Channel): void {
    this.#outbox.control(FrameType.windowUpdate, Flag.fin, channel.id, 0)
  }

  finished(channel: Channel): void {
    this.forget(channel)
    if (channel.unread === 0) return
    this.#unread ??= new Set()
    this.#unread.add(channel)
  }

  abandoned(channel: Channel): void {
    this.#unread?.delete(channel)
    if (channel.closed) return
    if (!channel.waiting) this.#outbox.control(FrameType.windowUpdate, Flag.rst, channel.id, 0)
    this.forget(channel)
  }

  consumed(channel: Channel, length: number): void {
    this.#inflow.release(length)
    // A peer that has sent its FIN needs no window.
    if (channel.closed || channel.remoteEnded) return
    const granted = this.#inflow.consume(channel.receiveWindow, length)
    if (granted > 0) this.#outbox.control(FrameType.windowUpdate, 0, channel.id, granted)
  }

  discarded(length: number): void {
    this.#inflow.release(length)
  }
}
