import { Duplex } from "node:stream"
import type { Channel } from "./Channel.ts"

/** A stream that nobody listens to must not end the process when its tunnel breaks. */
const ignore = (): void => {}

/**
 * One chunk at a time lies in the Duplex; the others wait in the channel, which merges small ones. It is the
 * flow-control window that holds the sender back.
 */
const READ_AHEAD = 1

/**
 * One stream of a session. `end()` sends FIN and reading goes on; `destroy()` sends RST.
 * Fails with `code` "ECONNRESET" when the peer resets it, or with the session's error.
 */
export class Stream extends Duplex {
  readonly #channel: Channel

  /** Only a session makes streams: `open()`, `onStream`. */
  constructor(channel: Channel, writeAhead: number) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: READ_AHEAD,
      writableHighWaterMark: writeAhead
    })
    this.#channel = channel
    this.on("error", ignore)
  }

  get id(): number {
    return this.#channel.id
  }

  override read(size?: number): Buffer | null {
    const chunk: Buffer | null = super.read(size)
    // The window opens by what the application takes, not by what waits in this object's buffer.
    if (chunk !== null) this.#channel.taken()
    return chunk
  }

  override _read(): void {
    this.#channel.pull()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#channel.write(chunk, undefined, callback)
  }

  override _writev(entries: Array<WriteEntry>, callback: WriteCallback): void {
    this.#channel.write(undefined, entries, callback)
  }

  override _final(callback: WriteCallback): void {
    this.#channel.finish(callback)
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    this.#channel.abandon(error)
    callback(error)
  }
}

export type WriteCallback = (error?: Error | null) => void

/** An element of what `_writev` is given. Strings were decoded: `decodeStrings` is on. */
export interface WriteEntry {
  chunk: Buffer
  encoding: BufferEncoding
}
