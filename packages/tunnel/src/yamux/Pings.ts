import { UINT32_MAX } from "./Frame.ts"
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

const nothing = (): void => {}

const MEASURE_TIMEOUT = 60_000

/** How much a longer round trip moves the estimate; a shorter one replaces it. */
const UPWARD = 1 / 8

/** An answer that came later than the estimate counts only if no more than this went by meanwhile: load adds. */
const QUIET_BYTES = 64 * 1024

/** Pings that wait for their answers, told apart by value, and the round trip they have shown. */
export class Pings {
  readonly #timers: Timers
  readonly #send: (token: number) => void
  readonly #traffic: () => number
  #pending: Map<number, Pending> | undefined = undefined
  #nextToken = 0
  /** In milliseconds; undefined until the first answer. */
  roundTrip: number | undefined = undefined
  measuredAt = Number.NEGATIVE_INFINITY

  /** `traffic` answers how many bytes the session has moved so far, both ways. */
  constructor(timers: Timers, traffic: () => number, send: (token: number) => void) {
    this.#timers = timers
    this.#traffic = traffic
    this.#send = send
  }

  get waiting(): number {
    return this.#pending?.size ?? 0
  }

  /** Resolves with the round trip in milliseconds. */
  request(timeoutMillis: number): Promise<number> {
    return new Promise((answered, failed) => {
      const token = this.#nextToken
      this.#nextToken = token === UINT32_MAX ? 0 : token + 1
      const cancelTimer = this.#timers.after(timeoutMillis, () => {
        this.#pending?.delete(token)
        failed(new SessionError("ping_timeout", `ping ${token} was not answered in ${timeoutMillis} ms`))
      })
      this.#pending ??= new Map()
      this.#pending.set(token, {
        sentAt: this.#timers.now(),
        traffic: this.#traffic(),
        answered,
        failed,
        cancelTimer
      })
      this.#send(token)
    })
  }

  /** Asks only in order to update `roundTrip`. */
  measure(): void {
    this.measuredAt = this.#timers.now()
    this.request(MEASURE_TIMEOUT).catch(nothing)
  }

  /** An answer. Those that were not asked for, or come too late, are ignored. */
  answer(token: number): void {
    const pending = this.#pending?.get(token)
    if (pending === undefined) return
    this.#pending?.delete(token)
    pending.cancelTimer()
    const now = this.#timers.now()
    const sample = now - pending.sentAt
    this.measuredAt = now
    if (this.roundTrip === undefined || sample < this.roundTrip) this.roundTrip = sample
    else if (this.#traffic() - pending.traffic <= QUIET_BYTES) {
      this.roundTrip += (sample - this.roundTrip) * UPWARD
    }
    pending.answered(sample)
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
}
