import { FrameType, HEADER_LENGTH, VERSION } from "../Frame.ts"
import { SessionError } from "../YamuxError.ts"

export interface FrameHandler {
  /** A whole header. Throws to refuse it: `push` then passes that on. */
  onHeader(type: number, flags: number, streamId: number, length: number): void
  /** The next part of the payload of the DATA header before it; the last one says so. */
  onPayload(chunk: Buffer, last: boolean): void
}

/** Where the reader stands in the byte stream. */
type State = "header" | "payload" | "stopped"

/**
 * Cuts a byte stream into frames, wherever its chunks begin and end. Holds back at most eleven bytes:
 * payload is handed on as it comes, as views of the chunk.
 */
export class FrameReader {
  readonly #handler: FrameHandler
  #state: State = "header"
  /** The beginning of a header whose end has not come, and how much of it there is. */
  #partial: Buffer | undefined = undefined
  #partialLength = 0
  #payloadLeft = 0

  constructor(handler: FrameHandler) {
    this.#handler = handler
  }

  /** Whether an end of the transport now would cut a frame in two. */
  get midFrame(): boolean {
    return this.#partialLength > 0 || this.#state === "payload"
  }

  /** Nothing is handled after this, not even the rest of the chunk at hand. */
  stop(): void {
    this.#state = "stopped"
    this.#partial = undefined
  }

  push(chunk: Buffer): void {
    let offset = 0
    while (offset < chunk.length && this.#state !== "stopped") {
      if (this.#state === "payload") {
        const end = Math.min(offset + this.#payloadLeft, chunk.length)
        this.#payloadLeft -= end - offset
        const last = this.#payloadLeft === 0
        if (last) this.#state = "header"
        this.#handler.onPayload(chunk.subarray(offset, end), last)
        offset = end
      } else if (this.#partialLength === 0 && chunk.length - offset >= HEADER_LENGTH) {
        this.#header(chunk, offset)
        offset += HEADER_LENGTH
      } else {
        offset = this.#collect(chunk, offset)
      }
    }
  }

  #collect(chunk: Buffer, offset: number): number {
    this.#partial ??= Buffer.allocUnsafeSlow(HEADER_LENGTH)
    const end = Math.min(offset + HEADER_LENGTH - this.#partialLength, chunk.length)
    this.#partialLength += chunk.copy(this.#partial, this.#partialLength, offset, end)
    if (this.#partialLength === HEADER_LENGTH) {
      this.#partialLength = 0
      this.#header(this.#partial, 0)
    }
    return end
  }

  #header(source: Buffer, offset: number): void {
    const version = source.readUInt8(offset)
    if (version !== VERSION) {
      throw new SessionError("protocol_error", `frame version ${version} is not ${VERSION}`)
    }
    const type = source.readUInt8(offset + 1)
    if (type > FrameType.goAway) throw new SessionError("protocol_error", `frame type ${type} is unknown`)
    const length = source.readUInt32BE(offset + 8)
    if (type === FrameType.data && length > 0) {
      this.#state = "payload"
      this.#payloadLeft = length
    }
    this.#handler.onHeader(type, source.readUInt16BE(offset + 2), source.readUInt32BE(offset + 4), length)
  }
}
