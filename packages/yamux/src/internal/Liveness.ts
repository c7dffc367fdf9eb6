import { Flag, FrameType, UINT32_MAX } from "../Frame.ts"
import type { Outbox } from "./Outbox.ts"
import type { SessionOptions } from "../SessionOptions.ts"
import { SessionError } from "../YamuxError.ts"

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

/**
 * Signs of life of a session's peer: when it was last heard, the pings that wait for their answers (told apart by
 * value), and the round trip that they have shown.
 */
export class Liveness {
  readonly #options: SessionOptions
  readonly #outbox: Outbox
  #pending: Map<number, Pending> | undefined = undefined
  #nextToken = 0
  /** Of the ping by `measure` that is under way: its token, when it was sent, and the traffic until then. */
  #measuring = NONE
  #sentAt = 0
  #sentTraffic = 0
  /** In milliseconds; undefined until the first answer. */
  roundTrip: number | undefined = undefined
  measuredAt = Number.NEGATIVE_INFINITY

  /** When the last byte came. */
  receivedAt: number
  /** Over the transport, since the beginning. */
  receivedBytes = 0
  /** Since when a sign of life has been asked for; 0: it has not. */
  #askedAt = 0

  constructor(options: SessionOptions, outbox: Outbox) {
    this.#options = options
    this.#outbox = outbox
    this.receivedAt = options.timers.now()
  }

  received(bytes: number): void {
    this.receivedAt = this.#options.timers.now()
    this.receivedBytes += bytes
  }

  /** Asks for a sign of life after a silence. Returns why the session has to end, if it has to. */
  checkSilence(now: number): SessionError | undefined {
    const { keepAliveMillis, keepAliveTimeoutMillis } = this.#options
    if (keepAliveMillis === 0) return undefined
    if (this.receivedAt >= this.#askedAt) this.#askedAt = 0
    const silent = now - this.receivedAt
    if (this.#askedAt === 0) {
      if (silent < keepAliveMillis) return undefined
      this.#askedAt = now
      this.measure()
      return undefined
    }
    if (now - this.#askedAt < keepAliveTimeoutMillis) return undefined
    return new SessionError("keepalive_timeout", `the peer was silent for ${Math.round(silent)} ms`)
  }

  /** Resolves with the round trip in milliseconds. */
  request(timeoutMillis: number): Promise<number> {
    return new Promise((answered, failed) => {
      const token = this.#token()
      const cancelTimer = this.#options.timers.after(timeoutMillis, () => {
        this.#forget(token)
        failed(new SessionError("ping_timeout", `ping ${token} was not answered in ${timeoutMillis} ms`))
      })
      this.#pending ??= new Map()
      this.#pending.set(token, {
        sentAt: this.#options.timers.now(),
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
    const now = this.#options.timers.now()
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
   * An answer. Returns the round trip in milliseconds, if it is the one to `measure`; true, if a `request` waited for
   * it; false, if it was not asked for or comes too late.
   */
  answer(token: number): number | boolean {
    if (token === this.#measuring) {
      this.#measuring = NONE
      return this.#sample(this.#sentAt, this.#sentTraffic)
    }
    const pending = this.#pending?.get(token)
    if (pending === undefined) return false
    this.#forget(token)
    pending.cancelTimer()
    pending.answered(this.#sample(pending.sentAt, pending.traffic))
    return true
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
    return this.receivedBytes + this.#outbox.wireBytes
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
    const now = this.#options.timers.now()
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
