import { Flag, FrameType, UINT32_MAX } from "./Frame.ts"
import type { Outbox } from "./Outbox.ts"
import type { Timers } from "./Timers.ts"
import { SessionError } from "./YamuxError.ts"

interface Pending {
  readonly sentAt: number
  /** The session's traffic until then, in bytes. */
  readonly traffic: number
  readonly answered: (roundTrip: number) => void
  readonly failed: (error: Error) => void
  readonly cancelTimer: () => void
}

/** An answer to `measure` that has not come by then is not waited for any more. */
const MEASURE_TIMEOUT = 60_000

/** How much a longer round trip moves the estimate; a shorter one replaces it. */
const UPWARD = 1 / 8

/** An answer that came later than the estimate counts only if no more than this went by meanwhile: load adds. */
const QUIET_BYTES = 64 * 1024

/** No token has this value. */
const NONE = -1

/** Pings that wait for their answers, told apart by value, and the round trip they have shown. */
export class Pings {
  readonly #timers: Timers
  readonly #outbox: Outbox
  readonly #received: { readonly receivedBytes: number }
  #pending: Map<number, Pending> | undefined = undefined
  #nextToken = 0
  /** Of the ping by `measure` that is under way: its token, when it was sent, and the traffic until then. */
  #measuring = NONE
  #sentAt = 0
  #sentTraffic = 0
  /** In milliseconds; undefined until the first answer. */
  roundTrip: number | undefined = undefined
  measuredAt = Number.NEGATIVE_INFINITY

  constructor(timers: Timers, outbox: Outbox, received: { readonly receivedBytes: number }) {
    this.#timers = timers
    this.#outbox = outbox
    this.#received = received
  }

  /** Resolves with the round trip in milliseconds. */
  request(timeoutMillis: number): Promise<number> {
    return new Promise((answered, failed) => {
      const token = this.#token()
      const cancelTimer = this.#timers.after(timeoutMillis, () => {
        this.#forget(token)
        failed(new SessionError("ping_timeout", `ping ${token} was not answered in ${timeoutMillis} ms`))
      })
      this.#pending ??= new Map()
      this.#pending.set(token, {
        sentAt: this.#timers.now(),
        traffic: this.#traffic,
        answered,
        failed,
        cancelTimer
      })
      this.#send(token)
    })
  }

  /** Asks only in order to have an answer: no promise, no timer. One at a time is measured by. */
  measure(): void {
    const now = this.#timers.now()
    this.measuredAt = now
    const token = this.#token()
    if (this.#measuring === NONE || now - this.#sentAt >= MEASURE_TIMEOUT) {
      this.#measuring = token
      this.#sentAt = now
      this.#sentTraffic = this.#traffic
    }
    this.#send(token)
  }

  /**
   * An answer: the round trip that it shows, if it is the one to `measure`. Those that were not asked for, or
   * come too late, are ignored.
   */
  answer(token: number): number | undefined {
    if (token === this.#measuring) {
      this.#measuring = NONE
      return this.#sample(this.#sentAt, this.#sentTraffic)
    }
    const pending = this.#pending?.get(token)
    if (pending === undefined) return undefined
    this.#forget(token)
    pending.cancelTimer()
    pending.answered(this.#sample(pending.sentAt, pending.traffic))
    return undefined
  }

  fail(error: Error): void {
    const pending = this.#pending
    this.#pending = undefined
    if (pending === undefined) return
    for (const { cancelTimer, failed } of pending.values()) {
      cancelTimer()
      failed(error)
    }
  }

  /** Bytes that the session has moved so far, both ways. */
  get #traffic(): number {
    return this.#received.receivedBytes + this.#outbox.wireBytes
  }

  #token(): number {
    const token = this.#nextToken
    this.#nextToken = token === UINT32_MAX ? 0 : token + 1
    return token
  }

  #send(token: number): void {
    this.#outbox.control(FrameType.ping, Flag.syn, 0, token)
  }

  #sample(sentAt: number, traffic: number): number {
    const now = this.#timers.now()
    const sample = now - sentAt
    this.measuredAt = now
    if (this.roundTrip === undefined || sample < this.roundTrip) this.roundTrip = sample
    else if (this.#traffic - traffic <= QUIET_BYTES) this.roundTrip += (sample - this.roundTrip) * UPWARD
    return sample
  }

  /** Ten thousand idle sessions hold no empty map. */
  #forget(token: number): void {
    this.#pending?.delete(token)
    if (this.#pending?.size === 0) this.#pending = undefined
  }
}
