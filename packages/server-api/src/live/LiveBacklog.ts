import { LiveListener } from "./LiveListener.ts"

/**
 * What waits for the sockets of all listeners together, in bytes. Each has its own bound, which thousands of them
 * that read nothing reach together: where all of them have too much, those that are furthest behind are let go.
 */
export class LiveBacklog {
  readonly #maxBytes: number
  readonly #listeners = new Set<LiveListener>()
  /** Never less than what waits: what has been read since is taken off when it is looked at. */
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** A listener that is counted until its stream has closed. */
  open(maxBytesOfOne: number): LiveListener {
    const listener = new LiveListener(maxBytesOfOne, (bytes) => this.#add(bytes))
    this.#listeners.add(listener)
    listener.onClose(() => this.#listeners.delete(listener))
    return listener
  }

  #add(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > this.#maxBytes) this.#letGo()
  }

  /** Down to half, so that half has to be pushed before all listeners are looked at again. */
  #letGo(): void {
    const waiting = Array.from(this.#listeners, (listener) => ({ listener, bytes: listener.waitingBytes }))
    this.#bytes = waiting.reduce((sum, { bytes }) => sum + bytes, 0)
    waiting.sort((one, other) => other.bytes - one.bytes)
    for (const { bytes, listener } of waiting) {
      if (this.#bytes <= this.#maxBytes / 2) return
      listener.stream.destroy()
      this.#bytes -= bytes
    }
  }
}
