import type { Place } from "./Place.ts"
import { MalformedResponse } from "./MalformedResponse.ts"
import { parse, type ResponseHead } from "./ResponseHead.ts"

/**
 * Reads one answer from an edge's connection as its bytes arrive, cut anywhere. Bodies are passed on as parts of
 * the chunks that came in, without a copy. Throws `MalformedResponse`.
 */
export interface ResponseSink {
  /** Where the browser finds the edge: what of the head it gets. */
  readonly place: Place
  /** 100 to 199, but for 101. Any number of them, before the head. */
  readonly onInformation: (head: ResponseHead) => void
  readonly onHead: (head: ResponseHead) => void
  readonly onBody: (part: Buffer) => void
}

/** A browser's own limit on what it sends is 80 KiB here; an edge may answer as much. */
const maxHeadBytes = 80 * 1024
/** A size line with its extensions, or the trailers: nothing that anybody sends comes near. */
const maxChunkLine = 4 * 1024
const maxTrailerBytes = 16 * 1024
/** Each costs a callback, and no final head comes after so many in earnest. */
const maxInformation = 32

const nothing: Buffer = Buffer.alloc(0)

type State = "head" | "length" | "size" | "data" | "data-end" | "trailers" | "close" | "done"

export class ResponseReader {
  readonly #method: string
  readonly #sink: ResponseSink
  #state: State = "head"
  /** The beginning of a head or of a line that is not whole yet, in the front of a buffer with room for more. */
  #partial = nothing
  #partialLength = 0
  /** Bytes of the body, or of the chunk, still to come. */
  #remaining = 0
  #information = 0
  #trailerBytes = 0

  constructor(method: string, sink: ResponseSink) {
    this.#method = method
    this.#sink = sink
  }

  get isDone(): boolean {
    return this.#state === "done"
  }

  /** The bytes that follow the answer; undefined where all were part of it. */
  push(chunk: Buffer): Buffer | undefined {
    let rest: Buffer | undefined = chunk
    while (rest !== undefined && this.#state !== "done") rest = this.#step(rest)
    return rest
  }

  /** The connection has ended cleanly. Whether that was the end of the answer. */
  finish(): boolean {
    if (this.#state === "close") this.#state = "done"
    return this.#state === "done"
  }

  #step(chunk: Buffer): Buffer | undefined {
    switch (this.#state) {
      case "head":
        return this.#readHead(chunk)
      case "length":
        return this.#readCounted(chunk, "done")
      case "data":
        return this.#readCounted(chunk, "data-end")
      case "size":
        return this.#readLine(chunk, maxChunkLine, this.#readSize)
      case "data-end":
        return this.#readLine(chunk, 2, this.#readDataEnd)
      case "trailers":
        return this.#readLine(chunk, maxTrailerBytes, this.#readTrailer)
      case "close":
        this.#sink.onBody(chunk)
        return undefined
      case "done":
        return chunk
    }
  }

  #readHead(chunk: Buffer): Buffer | undefined {
    const searched = Math.max(0, this.#partialLength - 2)
    const bytes = this.#joined(chunk)
    const end = headEnd(bytes, searched)
    if (end > maxHeadBytes || (end === -1 && bytes.length > maxHeadBytes)) {
      throw new MalformedResponse(`a head of more than ${maxHeadBytes} bytes`)
    }
    if (end === -1) {
      if (!looksLikeHead(bytes)) throw new MalformedResponse("not a status line")
      if (hasBareCr(bytes, searched)) throw new MalformedResponse("a CR without LF in a head")
      return this.#keep(bytes)
    }
    this.#forget()
    const head = parse(
      withCarriageReturns(bytes.toString("latin1", 0, end + 1)),
      this.#method,
      this.#sink.place
    )
    if (head.status < 200 && head.status !== 101) {
      if (++this.#information > maxInformation) throw new MalformedResponse("too many interim answers")
      this.#sink.onInformation(head)
    } else {
      this.#begin(head)
    }
    const body = end + (bytes[end + 1] === LF ? 2 : 3)
    return body === bytes.length ? undefined : bytes.subarray(body)
  }

  #begin(head: ResponseHead): void {
    this.#state = head.body === "chunked" ? "size" : head.body === "close" ? "close" : "length"
    this.#remaining = typeof head.body === "number" ? head.body : 0
    this.#sink.onHead(head)
    if (head.body === 0) this.#state = "done"
  }

  #readCounted(chunk: Buffer, then: "done" | "data-end"): Buffer | undefined {
    const whole = chunk.length <= this.#remaining
    const part = whole ? chunk : chunk.subarray(0, this.#remaining)
    this.#remaining -= part.length
    this.#sink.onBody(part)
    if (this.#remaining === 0) this.#state = then
    return whole ? undefined : chunk.subarray(part.length)
  }

  #readLine(chunk: Buffer, limit: number, take: (line: string) => void): Buffer | undefined {
    const searched = this.#partialLength
    const bytes = this.#joined(chunk)
    const newline = bytes.indexOf(LF, searched)
    if (newline > limit || (newline === -1 && bytes.length > limit)) {
      throw new MalformedResponse("an over-long line in a chunked body")
    }
    if (newline === -1) return this.#keep(bytes)
    if (bytes[newline - 1] !== 0x0d) throw new MalformedResponse("a line without CR in a chunked body")
    this.#forget()
    take.call(this, bytes.toString("latin1", 0, newline - 1))
    return newline + 1 === bytes.length ? undefined : bytes.subarray(newline + 1)
  }

  /** What is kept and what has come, without copying what is kept for each byte that comes. */
  #joined(chunk: Buffer): Buffer {
    if (this.#partialLength === 0) return chunk
    const length = this.#partialLength + chunk.length
    if (length > this.#partial.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(1024, length * 2))
      this.#partial.copy(larger, 0, 0, this.#partialLength)
      this.#partial = larger
    }
    chunk.copy(this.#partial, this.#partialLength)
    return this.#partial.subarray(0, length)
  }

  #keep(bytes: Buffer): undefined {
    if (this.#partialLength === 0) this.#partial = bytes
    this.#partialLength = bytes.length
  }

  #forget(): void {
    this.#partial = nothing
    this.#partialLength = 0
  }

  #readSize(line: string): void {
    const size = chunkSize.exec(line)?.[1]
    if (size === undefined) throw new MalformedResponse("a chunk without a size")
    this.#remaining = Number.parseInt(size, 16)
    this.#state = this.#remaining === 0 ? "trailers" : "data"
  }

  #readDataEnd(line: string): void {
    if (line !== "") throw new MalformedResponse("a chunk longer than its size")
    this.#state = "size"
  }

  /** Trailers are dropped: nothing says that the browser takes them (RFC 9110 §6.5.1). */
  #readTrailer(line: string): void {
    this.#trailerBytes += line.length + 2
    if (this.#trailerBytes > maxTrailerBytes) throw new MalformedResponse("trailers too long")
    if (line === "") this.#state = "done"
  }
}

/** Up to 2^48 bytes; extensions are dropped, and have no control characters (RFC 9112 §7.1.1). */
const chunkSize = /^([\dA-Fa-f]{1,12})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/

const CR = 0x0d
const LF = 0x0a

/** Nothing that follows makes it a line's end: nobody waits for that. */
const hasBareCr = (bytes: Buffer, from: number): boolean => {
  for (let at = bytes.indexOf(CR, from); at !== -1; at = bytes.indexOf(CR, at + 1)) {
    if (at + 1 < bytes.length && bytes[at + 1] !== LF) return true
  }
  return false
}

/** Where the LF of the last line is: an empty line follows it. -1 where that has not come. */
const headEnd = (bytes: Buffer, from: number): number => {
  const end = bytes.indexOf("\n\r\n", from)
  const bare = (end === -1 ? bytes : bytes.subarray(0, end + 1)).indexOf("\n\n", from)
  return bare === -1 ? end : bare
}

/** Small devices end lines with LF alone, which is to be understood and not passed on (RFC 9112 §2.2). */
const withCarriageReturns = (text: string): string =>
  bareLineEnd.test(text) ? text.replaceAll(/\r?\n/g, "\r\n") : text

const bareLineEnd = /[^\r]\n/

const beginning = "HTTP/1."

const looksLikeHead = (bytes: Buffer): boolean =>
  beginning.startsWith(bytes.toString("latin1", 0, Math.min(bytes.length, beginning.length)))
