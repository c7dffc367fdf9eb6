/**
 * Runs what it is given in order, a few milliseconds' worth in each turn of the event loop, so that thousands of
 * tasks at once keep it from nothing else for long. A task is plain code that does not throw.
 */
export class PacedQueue {
  readonly #turnMillis: number
  #waiting: Array<() => void> = []
  #next = 0

  constructor(turnMillis: number) {
    this.#turnMillis = turnMillis
  }

  push(task: () => void): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#turn())
    this.#waiting.push(task)
  }

  #turn(): void {
    const until = performance.now() + this.#turnMillis
    // One at least, however slow the tasks are.
    do {
      this.#waiting[this.#next++]?.()
    } while (this.#next < this.#waiting.length && performance.now() < until)
    if (this.#next < this.#waiting.length) {
      setImmediate(() => this.#turn())
      return
    }
    this.#waiting = []
    this.#next = 0
  }
}
