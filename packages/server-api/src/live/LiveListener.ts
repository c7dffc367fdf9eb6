import { Readable } from "node:stream"

/**
 * One listener's end of an event stream. It is handed bytes that it shares with all others; what its socket does
 * not take waits here, and a listener that falls too far behind is let go: it resumes by its last event's id.
 */
export class LiveListener {
  readonly stream: Readable
  readonly #maxBytes: number
  readonly #onPush: (bytes: number) => void

  constructor(maxBytes: number, onPush: (bytes: number) => void = () => {}) {
    this.#maxBytes = maxBytes
    this.#onPush = onPush
    this.stream = new Readable({ read() {} })
    // A reader that goes away is how most streams end; whoever reads this one is told by its own socket.
    this.stream.on("error", () => {})
  }

  /** What its socket has not taken yet. */
  get waitingBytes(): number {
    return this.stream.destroyed ? 0 : this.stream.readableLength
  }

  push(bytes: Uint8Array): void {
    if (this.stream.destroyed || this.stream.readableEnded) return
    if (this.stream.readableLength + bytes.length > this.#maxBytes) return void this.stream.destroy()
    this.stream.push(bytes)
    this.#onPush(bytes.length)
  }

  /** Ends it in order, after what has been pushed. */
  end(): void {
    if (!this.stream.destroyed) this.stream.push(null)
  }

  onClose(callback: () => void): void {
    this.stream.once("close", callback)
  }
}
