import type { Duplex } from "node:stream"
import type { Transport } from "./Transport.ts"

/** The peer's end, or the rest of what we sent, may take this long after `close`. */
const CLOSE_MILLIS = 5_000

/** A byte stream that is one already, as a TCP socket, under a session. It has no close codes. */
export class DuplexTransport implements Transport {
  onData: (chunk: Buffer) => void = ignore
  onDrain: () => void = ignore
  onClose: (error?: Error) => void = ignore

  readonly #duplex: Duplex
  #error: Error | undefined = undefined
  #closeTimer: NodeJS.Timeout | undefined = undefined

  readonly #sent = (): void => {
    if (!this.#duplex.destroyed) this.onDrain()
  }

  constructor(duplex: Duplex) {
    this.#duplex = duplex
    duplex.on("error", (error) => {
      this.#error ??= error
    })
    duplex.on("data", (chunk: Buffer) => this.onData(chunk))
    duplex.on("end", () => this.close())
    duplex.once("close", () => {
      clearTimeout(this.#closeTimer)
      this.onClose(this.#error)
    })
  }

  get bufferedAmount(): number {
    return this.#duplex.writableLength
  }

  send(chunk: Uint8Array): void {
    if (this.#duplex.writable) this.#duplex.write(chunk, this.#sent)
  }

  sendJoined(head: Uint8Array, payload: Uint8Array, written: () => void): void {
    if (!this.#duplex.writable) return written()
    this.#duplex.cork()
    this.#duplex.write(head)
    this.#duplex.write(payload, () => {
      written()
      this.#sent()
    })
    this.#duplex.uncork()
  }

  cork(): void {
    this.#duplex.cork()
  }

  uncork(): void {
    this.#duplex.uncork()
  }

  pause(): void {
    this.#duplex.pause()
  }

  resume(): void {
    this.#duplex.resume()
  }

  close(): void {
    if (this.#duplex.destroyed) return
    // Paused, it would never see the peer's end.
    this.#duplex.resume()
    this.#duplex.end()
    this.#closeTimer ??= setTimeout(() => this.#duplex.destroy(), CLOSE_MILLIS).unref()
  }

  terminate(): void {
    this.#duplex.destroy()
  }
}

function ignore(): void {}
