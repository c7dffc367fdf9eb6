import type { Channel } from "./Channel.ts"
import { Flag, FrameType } from "./Frame.ts"
import type { Outbox } from "./Outbox.ts"

/**
 * The places for own streams that the peer has not answered: no more than it is said to hold for its
 * application to accept. A stream without a place waits, and nothing of it is sent.
 */
export class OpenSlots {
  readonly #limit: number
  readonly #outbox: Outbox
  #taken = 0
  #waiting: Array<Channel> | undefined = undefined

  constructor(limit: number, outbox: Outbox) {
    this.#limit = limit
    this.#outbox = outbox
  }

  /** Begins the channel, or has it wait for a place. `busy`: even a place would not do now. */
  request(channel: Channel, busy: boolean): void {
    channel.waiting = true
    if (busy || this.#taken >= this.#limit) {
      this.#waiting ??= []
      this.#waiting.push(channel)
    } else this.#take(channel)
  }

  /** The peer has answered, or the channel has ended without: its place goes to the next. */
  release(channel: Channel): void {
    if (channel.waiting) {
      this.#waiting = this.#waiting?.filter((other) => other !== channel)
    } else if (channel.unanswered) {
      channel.unanswered = false
      this.#taken--
      this.refill()
    }
  }

  /** Gives free places to those that wait. */
  refill(): void {
    while (this.#taken < this.#limit) {
      const next = this.#waiting?.shift()
      if (next === undefined) return
      this.#take(next)
    }
  }

  clear(): void {
    this.#waiting = undefined
  }

  #take(channel: Channel): void {
    this.#taken++
    this.#outbox.control(FrameType.windowUpdate, Flag.syn, channel.id, channel.receiveWindow.surplus)
    channel.opened()
  }
}
