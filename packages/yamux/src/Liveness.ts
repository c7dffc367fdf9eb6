import type { Pings } from "./Pings.ts"
import type { SessionOptions } from "./SessionOptions.ts"
import { SessionError } from "./YamuxError.ts"

/** Signs of life of a session's peer: that it sends, when asked to, and that it takes what we send. */
export class Liveness {
  readonly #options: SessionOptions
  /** When the last byte came. */
  receivedAt: number
  /** Over the transport, since the beginning. */
  receivedBytes = 0
  /** Since when a sign of life has been asked for; 0: it has not. */
  #askedAt = 0
  /** Whether anything was written out since the last check, and since when nothing was; 0: something was. */
  #wrote = false
  #stalledAt = 0

  constructor(options: SessionOptions) {
    this.#options = options
    this.receivedAt = options.timers.now()
  }

  received(bytes: number): void {
    this.receivedAt = this.#options.timers.now()
    this.receivedBytes += bytes
  }

  wrote(): void {
    this.#wrote = true
  }

  /** Asks for a sign of life after a silence; answers why the session has to end, if it has to. */
  checkReading(now: number, pings: Pings): SessionError | undefined {
    const { keepAliveMillis, keepAliveTimeoutMillis } = this.#options
    if (keepAliveMillis === 0) return undefined
    if (this.receivedAt >= this.#askedAt) this.#askedAt = 0
    const silent = now - this.receivedAt
    if (this.#askedAt === 0) {
      if (silent < keepAliveMillis) return undefined
      this.#askedAt = now
      pings.measure()
      return undefined
    }
    if (now - this.#askedAt < keepAliveTimeoutMillis) return undefined
    return new SessionError("keepalive_timeout", `the peer was silent for ${Math.round(silent)} ms`)
  }

  /** `buffered` bytes wait to be written; answers why the session has to end, if it has to. */
  checkWriting(now: number, buffered: number): SessionError | undefined {
    const moved = buffered === 0 || this.#wrote
    this.#wrote = false
    if (moved) this.#stalledAt = 0
    else if (this.#stalledAt === 0) this.#stalledAt = now
    const { writeTimeoutMillis } = this.#options
    if (moved || now - this.#stalledAt < writeTimeoutMillis) return undefined
    return new SessionError(
      "write_timeout",
      `the peer took none of ${buffered} bytes in ${writeTimeoutMillis} ms`
    )
  }
}
