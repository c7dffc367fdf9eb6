import type { Channel } from "./Channel.ts"
import type { SessionOptions } from "./SessionOptions.ts"
import type { Stream } from "./Stream.ts"
import { TokenBucket } from "./TokenBucket.ts"
import { SessionError, YamuxError } from "./YamuxError.ts"

/** Inbound streams on their way to the application, and how often a peer may open streams to no end. */
export class Acceptor {
  readonly #options: SessionOptions
  readonly #onFault: (error: unknown) => void
  #handler: ((stream: Stream) => void) | undefined = undefined
  /** Those that came before there was a handler. */
  #waiting: Array<Channel> | undefined = undefined
  #resets: TokenBucket | undefined = undefined

  constructor(options: SessionOptions, onFault: (error: unknown) => void) {
    this.#options = options
    this.#onFault = onFault
  }

  get handler(): ((stream: Stream) => void) | undefined {
    return this.#handler
  }

  set handler(handler: ((stream: Stream) => void) | undefined) {
    this.#handler = handler
    const waiting = this.#waiting
    this.#waiting = undefined
    for (const channel of waiting ?? []) if (!channel.stream.destroyed) this.deliver(channel)
  }

  get full(): boolean {
    return this.#handler === undefined && (this.#waiting?.length ?? 0) >= this.#options.acceptBacklog
  }

  /** A handler that throws costs its stream, not the session. */
  deliver(channel: Channel): void {
    if (this.#handler === undefined) {
      this.#waiting ??= []
      this.#waiting.push(channel)
      return
    }
    try {
      this.#handler(channel.stream)
    } catch (error) {
      const message = `the handler of stream ${channel.id} threw`
      channel.stream.destroy(new YamuxError("handler_failed", message, { cause: error }))
      this.#onFault(error)
    }
  }

  /** Opening only to reset, or in order to be refused, costs us more than the peer. Throws when it is too much. */
  countReset(): void {
    const { resetBurst, resetsPerSecond, timers } = this.#options
    const now = timers.now()
    this.#resets ??= new TokenBucket(resetBurst, resetsPerSecond, now)
    if (this.#resets.take(now)) return
    const message = `more than ${resetBurst} streams were reset at once, or ${resetsPerSecond} a second`
    throw new SessionError("too_many_resets", message)
  }

  clear(): void {
    this.#waiting = undefined
  }
}
