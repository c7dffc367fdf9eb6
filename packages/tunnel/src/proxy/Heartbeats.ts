/** Something that beats. */
export interface Beating {
  readonly beat: () => void
  /** The beats that it is due with; `Heartbeats` alone writes it. */
  dueWith: Set<Beating> | undefined
}

/** What a period varies by, either way, so that a fleet which came back together does not beat in step. */
const VARIATION = 0.1

/** Those due within so short a time beat together: one look at the sockets then finds many answers. */
const TURN_MILLIS = 100

/** Turns in a period, at least, where a period is short. */
const LEAST_TURNS = 20

/**
 * The beats of ten thousand tunnels, by one timer: a ring of turns, each with those that are due in it. Whoever
 * has beaten goes to a turn one period on, give or take a tenth.
 */
export class Heartbeats {
  readonly #turnMillis: number
  readonly #turnsAPeriod: number
  /** In turns. */
  readonly #shortest: number
  readonly #random: () => number
  readonly #ring: ReadonlyArray<Set<Beating>>
  #turn = 0
  #turnedAt = 0
  #count = 0
  #timer: NodeJS.Timeout | undefined = undefined

  /** `random`: 0 to 1, evenly. */
  constructor(periodMillis: number, random: () => number) {
    this.#turnMillis = Math.min(TURN_MILLIS, periodMillis / LEAST_TURNS)
    this.#turnsAPeriod = periodMillis / this.#turnMillis
    this.#shortest = Math.floor(this.#turnsAPeriod * (1 - VARIATION))
    this.#random = random
    const turns = Math.ceil(this.#turnsAPeriod * (1 + VARIATION)) + 1
    this.#ring = Array.from({ length: turns }, () => new Set<Beating>())
  }

  /** Its first beat is a period from now. */
  add(beating: Beating): void {
    if (this.#timer === undefined) {
      this.#turnedAt = performance.now()
      this.#timer = setInterval(() => this.#advance(), this.#turnMillis).unref()
    }
    this.#count++
    this.#put(beating)
  }

  remove(beating: Beating): void {
    if (beating.dueWith === undefined) return
    beating.dueWith.delete(beating)
    beating.dueWith = undefined
    this.#count--
    if (this.#count > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #put(beating: Beating): void {
    const turns = Math.round(this.#turnsAPeriod * (1 - VARIATION + 2 * VARIATION * this.#random()))
    const due = this.#ring[(this.#turn + turns) % this.#ring.length]
    beating.dueWith = due
    due?.add(beating)
  }

  /** A timer that was late catches up, by less than a period: nobody beats twice at once. */
  #advance(): void {
    const late = Math.floor((performance.now() - this.#turnedAt) / this.#turnMillis)
    this.#turnedAt += late * this.#turnMillis
    for (let turns = Math.min(late, this.#shortest); turns > 0; turns--) {
      this.#turn = (this.#turn + 1) % this.#ring.length
      const due = this.#ring[this.#turn]
      if (due === undefined) return
      // Nobody is put back into the same turn: a period is shorter than the ring.
      for (const beating of due) {
        due.delete(beating)
        this.#put(beating)
        beating.beat()
      }
    }
  }
}
