import type { Duplex } from "node:stream"

/** A text in UTF-8 behind its length, which is a big-endian 16-bit integer: what a stream begins with. */

const MAX_BYTES = 0xffff

/** A text that is too long is cut. */
export const encode = (text: string): Buffer => {
  const bytes = Buffer.from(text).subarray(0, MAX_BYTES)
  const encoded = Buffer.allocUnsafe(2 + bytes.length)
  encoded.writeUInt16BE(bytes.length, 0)
  encoded.set(bytes, 2)
  return encoded
}

/** The text in bytes from `start` on, and where it ends; undefined while incomplete. */
export const decode = (bytes: Buffer, start: number) => {
  if (bytes.length < start + 2) return undefined
  const end = start + 2 + bytes.readUInt16BE(start)
  return bytes.length < end ? undefined : { value: bytes.toString("utf8", start + 2, end), end }
}

/** Why there is no text: the stream ended or closed before it, was silent for too long, or announced too much. */
export type Failure = "ended" | "timeout" | "too_long"

export interface ReadOptions {
  readonly maxBytes: number
  readonly timeoutMillis: number
}

/**
 * Reads the text from the beginning of a stream, once, and leaves all that follows it to be read. Answers how to
 * stop, after which `done` is not called.
 */
export const read = (
  stream: Duplex,
  { maxBytes, timeoutMillis }: ReadOptions,
  done: (text: string | undefined, failure: Failure | undefined) => void
): (() => void) => {
  let length: number | undefined
  const stop = () => {
    clearTimeout(timer)
    stream.off("readable", onReadable)
    stream.off("end", onEnded)
    stream.off("close", onEnded)
  }
  const settle = (text: string | undefined, failure: Failure | undefined) => {
    stop()
    done(text, failure)
  }
  const onEnded = () => settle(undefined, "ended")
  const onReadable = () => {
    length ??= take(stream, 2)?.readUInt16BE(0)
    if (length === undefined) return
    if (length > maxBytes) return settle(undefined, "too_long")
    const text = length === 0 ? Buffer.alloc(0) : take(stream, length)
    if (text !== undefined) settle(text.toString("utf8"), undefined)
  }
  const timer = setTimeout(() => settle(undefined, "timeout"), timeoutMillis)
  stream.on("readable", onReadable)
  stream.on("end", onEnded)
  stream.on("close", onEnded)
  return stop
}

/** Exactly so many bytes, or none yet. */
const take = (stream: Duplex, size: number): Buffer | undefined => {
  const bytes: Buffer | null = stream.read(size)
  // At a stream's end `read` gives what is left, however little: the `end` that follows deals with it.
  return bytes === null || bytes.length < size ? undefined : bytes
}
