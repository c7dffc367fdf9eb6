import bufferUtil from "bufferutil"

export interface MessageHandler {
  /**
   * The next part of the binary messages, unmasked. Where one message ends and another begins is not told. Empty for
   * a frame without payload.
   */
  readonly onPayload: (chunk: Buffer) => void
  /** A whole control frame (ping, pong, close) as it came, header and mask included. */
  readonly onControl: (frame: Buffer<ArrayBuffer>) => void
  /** The peer broke RFC 6455, or sent text. Nothing is read after it. */
  readonly onInvalid: (message: string) => void
}

const Opcode = { continuation: 0, text: 1, binary: 2, close: 8 } as const

/** The longest header: two bytes, eight of length, four of mask. */
const LONGEST_HEADER = 14

/** Section 5.5: a control frame's payload is at most 125 bytes. */
const LONGEST_CONTROL = 125

const EMPTY = Buffer.alloc(0)

/** Where the reader stands. "control": in the payload of a control frame. */
type State = "header" | "payload" | "control" | "stopped"

/**
 * Reads the frames of a WebSocket (RFC 6455 section 5.2) and hands on their payload as it comes.
 *
 * `ws` puts every message together before it gives it out, which costs a copy of all that spans two reads of
 * the socket. A byte stream has no use for whole messages: here nothing is copied and nothing is held back.
 */
export class WebSocketReader {
  readonly #handler: MessageHandler
  /** Whether the peer has to mask: a client has to, a server must not (section 5.1). */
  readonly #masked: boolean
  #state: State = "header"
  /** A header, or a control frame, that has come in part. */
  #partial: Buffer<ArrayBuffer> | undefined = undefined
  #partialLength = 0
  #payloadLeft = 0
  /** The mask, turned to where the payload stands. */
  #mask: Buffer | undefined = undefined
  #fragmented = false

  constructor(masked: boolean, handler: MessageHandler) {
    this.#masked = masked
    this.#handler = handler
  }

  /** The chunk is the reader's: it is unmasked in place. */
  push(chunk: Buffer): void {
    let offset = 0
    while (offset < chunk.length && this.#state !== "stopped") {
      if (this.#state === "payload") offset = this.#payload(chunk, offset)
      else if (this.#state === "control") offset = this.#control(chunk, offset)
      else if (this.#partialLength > 0) offset = this.#resumeHeader(chunk, offset)
      else {
        const length = this.#header(chunk, offset)
        if (length === 0) this.#keep(chunk, offset, chunk.length)
        offset = length === 0 ? chunk.length : offset + length
      }
    }
  }

  #payload(chunk: Buffer, offset: number): number {
    const end = Math.min(offset + this.#payloadLeft, chunk.length)
    const part = chunk.subarray(offset, end)
    this.#payloadLeft -= part.length
    if (this.#mask !== undefined) {
      bufferUtil.unmask(part, this.#mask)
      if (part.length % 4 !== 0 && this.#payloadLeft > 0) this.#mask = turned(this.#mask, part.length % 4)
    }
    if (this.#payloadLeft === 0) {
      this.#state = "header"
      this.#mask = undefined
    }
    this.#handler.onPayload(part)
    return end
  }

  #control(chunk: Buffer, offset: number): number {
    const end = Math.min(offset + this.#payloadLeft, chunk.length)
    this.#keep(chunk, offset, end)
    this.#payloadLeft -= end - offset
    if (this.#payloadLeft === 0) this.#controlDone()
    return end
  }

  #controlDone(): void {
    const frame = this.#partial?.subarray(0, this.#partialLength)
    this.#partial = undefined
    this.#partialLength = 0
    if (frame === undefined) return
    // Section 5.5.1: nothing follows a close frame.
    this.#state = (frame.readUInt8(0) & 0x0f) === Opcode.close ? "stopped" : "header"
    this.#handler.onControl(frame)
  }

  /** Adds to what has come of a header or control frame. */
  #keep(chunk: Buffer, start: number, end: number): void {
    this.#partial ??= Buffer.allocUnsafeSlow(LONGEST_HEADER + LONGEST_CONTROL)
    this.#partialLength += chunk.copy(this.#partial, this.#partialLength, start, end)
  }

  /** A header that was cut: takes byte after byte until it is whole. */
  #resumeHeader(chunk: Buffer, offset: number): number {
    this.#keep(chunk, offset, offset + 1)
    const partial = this.#partial
    if (partial === undefined) return offset
    const length = this.#partialLength
    this.#partialLength = 0
    // Kept again, if it is still not whole or begins a control frame.
    if (this.#header(partial.subarray(0, length), 0) === 0) this.#partialLength = length
    else if (this.#state !== "control") this.#partial = undefined
    return offset + 1
  }

  /** Reads a header. Answers its length, or 0 if it is not whole. */
  #header(source: Buffer, offset: number): number {
    const available = source.length - offset
    if (available < 2) return 0
    const first = source.readUInt8(offset)
    const second = source.readUInt8(offset + 1)
    const masked = (second & 0x80) !== 0
    const short = second & 0x7f
    const maskAt = short === 126 ? 4 : short === 127 ? 10 : 2
    const length = maskAt + (masked ? 4 : 0)
    if (available < length) return 0
    const opcode = first & 0x0f
    const final = (first & 0x80) !== 0
    const fault = this.#fault(first, opcode, masked)
    if (fault !== undefined) {
      this.#state = "stopped"
      this.#handler.onInvalid(fault)
      return length
    }
    this.#payloadLeft =
      short === 126
        ? source.readUInt16BE(offset + 2)
        : short === 127
          ? source.readUInt32BE(offset + 2) * 0x1_0000_0000 + source.readUInt32BE(offset + 6)
          : short
    if (opcode >= Opcode.close) {
      this.#beginControl(source, offset, length, final)
      return length
    }
    this.#fragmented = !final
    if (this.#payloadLeft === 0) {
      this.#handler.onPayload(EMPTY)
      return length
    }
    this.#state = "payload"
    // A copy: the chunk around it should not live longer for four bytes.
    if (masked) this.#mask = Buffer.from(source.subarray(offset + maskAt, offset + length))
    return length
  }

  #beginControl(source: Buffer, offset: number, length: number, final: boolean): void {
    if (this.#payloadLeft > LONGEST_CONTROL || !final) {
      this.#state = "stopped"
      this.#handler.onInvalid("a control frame is too long, or in parts")
      return
    }
    this.#state = "control"
    this.#keep(source, offset, offset + length)
    if (this.#payloadLeft === 0) this.#controlDone()
  }

  /** What is wrong with a header, if anything. */
  #fault(first: number, opcode: number, masked: boolean): string | undefined {
    if ((first & 0x70) !== 0) return "a reserved bit of a frame is set"
    if (masked !== this.#masked)
      return masked ? "a server's frame is masked" : "a client's frame is not masked"
    if (opcode === Opcode.text) return "a text message is not part of the protocol"
    if (opcode === Opcode.continuation) return this.#fragmented ? undefined : "a message begins in the middle"
    if (opcode === Opcode.binary) return this.#fragmented ? "a message begins inside another" : undefined
    return opcode >= Opcode.close && opcode <= 10 ? undefined : `frame opcode ${opcode} is unknown`
  }
}

const turned = (mask: Buffer, by: number): Buffer => Buffer.concat([mask.subarray(by), mask.subarray(0, by)])
