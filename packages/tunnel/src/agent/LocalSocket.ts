import { Socket } from "node:net"

type Callback = (error?: Error | null) => void

/**
 * A connection to a local server, which may answer before it has read all that it is sent, and close: 413, 401, a
 * redirect. The kernel then has the answer for us, while what we write fails. A Node socket takes the first failed
 * write for its end, with the answer unread. This one drops what is written from then on, and ends when all that had
 * arrived has been read: cleanly where the server had ended its side before it closed, else with the error.
 */
export class LocalSocket extends Socket {
  #isDeaf = false
  #failure: Error | undefined

  override _write(chunk: unknown, encoding: BufferEncoding, callback: Callback): void {
    if (this.#isDeaf) return callback()
    super._write(chunk, encoding, this.#untilRead(callback))
  }

  override _writev(chunks: Array<{ chunk: unknown; encoding: BufferEncoding }>, callback: Callback): void {
    if (this.#isDeaf) return callback()
    super._writev?.(chunks, this.#untilRead(callback))
  }

  /** The kernel told the write of the reset; whoever reads after it finds a clean end. */
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk !== null || this.#failure === undefined) return super.push(chunk, encoding)
    this.destroy(this.#failure)
    return false
  }

  override destroy(error?: Error): this {
    if (error === undefined || this.readableLength === 0) return super.destroy(error)
    this.#failure = error
    this.on("data", () => {
      if (this.readableLength === 0) super.destroy(error)
    })
    return this
  }

  readonly #untilRead =
    (callback: Callback): Callback =>
    (error: NodeJS.ErrnoException | null | undefined) => {
      if (error === null || error === undefined || this.readableEnded) return callback(error)
      this.#isDeaf = true
      // EPIPE: the server's FIN came before its reset (Linux, tcp_reset).
      if (error.code !== "EPIPE") this.#failure = error
      callback()
    }
}
