/** Allows `burst` events at once, and `perSecond` from then on. */
export class TokenBucket {
  readonly #burst: number
  readonly #perSecond: number
  #tokens: number
  #filledAt: number

  constructor(burst: number, perSecond: number, now: number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#tokens = burst
    this.#filledAt = now
  }

  /** False: that is one too many. `now` in milliseconds. */
  take(now: number): boolean {
    const refill = ((now - this.#filledAt) / 1000) * this.#perSecond
    this.#tokens = Math.min(this.#burst, this.#tokens + refill) - 1
    this.#filledAt = now
    return this.#tokens >= 0
  }
}
