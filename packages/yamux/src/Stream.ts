import { Duplex } from "node:stream"

/** A stream that nobody listens to must not end the process when its tunnel breaks. */
const ignore = (): void => {}

/**
 * One chunk at a time lies in the Duplex; the others wait in its engine, which merges small ones. It is the
 * flow-control window that holds the sender back.
 */
const READ_AHEAD = 1

/** The protocol's side of a stream: what the session made it with. */
export interface StreamEngine {
  readonly id: number
  /** The application has taken bytes out of the stream's buffer. */
  taken(): void
  /** The application wants to read. */
  pull(): void
  /** One chunk, or several that waited together; `callback` once every byte is on its way. */
  write(
    chunk: Buffer | undefined,
    entries: ReadonlyArray<WriteEntry> | undefined,
    callback: WriteCallback
  ): void
  /** The application has ended its side. */
  finish(callback: WriteCallback): void
  /** The stream was destroyed, by whomever. */
  abandon(error: Error | null): void
}

/**
 * One stream of a session. `end()` sends FIN and reading goes on; `destroy()` sends RST.
 * Fails with `code` "ECONNRESET" when the peer resets it, or with the session's error.
 */
export class Stream extends Duplex {
  readonly #engine: StreamEngine

  /** Only a session makes streams: `open()`, `onStream`. */
  constructor(engine: StreamEngine, writeAhead: number) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: READ_AHEAD,
      writableHighWaterMark: writeAhead
    })
    this.#engine = engine
    this.on("error", ignore)
  }

  get id(): number {
    return this.#engine.id
  }

  override read(size?: number): Buffer | null {
    const chunk: Buffer | null = super.read(size)
    // The window opens by what the application takes, not by what waits in this object's buffer.
    if (chunk !== null) this.#engine.taken()
    return chunk
  }

  override _read(): void {
    this.#engine.pull()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#engine.write(chunk, undefined, callback)
  }

  override _writev(entries: Array<WriteEntry>, callback: WriteCallback): void {
    this.#engine.write(undefined, entries, callback)
  }

  override _final(callback: WriteCallback): void {
    this.#engine.finish(callback)
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    this.#engine.abandon(error)
    callback(error)
  }
}

export type WriteCallback = (error?: Error | null) => void

/** An element of what `_writev` is given. Strings were decoded: `decodeStrings` is on. */
export interface WriteEntry {
  chunk: Buffer
  encoding: BufferEncoding
}
