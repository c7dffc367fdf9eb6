import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { TLSSocket } from "node:tls"

/**
 * Joins two byte streams for good: bytes, back-pressure and half-close pass both ways, and an end that breaks off before
 * it has finished breaks the other one off too, as a reset and never as a clean end. What an answerer said before it
 * broke arrives before its end does; an asker that has gone wants nothing more, so its answerer is reset at once.
 */
export const splice = (asker: Duplex, answerer: Duplex): void => {
  breakWith(asker, answerer, reset)
  breakWith(answerer, asker, resetAfterWrites)
  asker.pipe(answerer)
  answerer.pipe(asker)
}

/** Ends a stream so that its peer cannot take it for a clean end: a TCP socket sends RST. */
export const reset = (stream: Duplex): void => {
  // Pipes (Unix sockets) and TLS have no reset of their own: node refuses to send one.
  if (stream instanceof Socket && !(stream instanceof TLSSocket) && stream.remoteFamily !== undefined) {
    stream.resetAndDestroy()
  } else {
    stream.destroy()
  }
}

/** What has been read before a stream broke arrives before its end does. */
const resetAfterWrites = (stream: Duplex): void => {
  if (stream.writableLength === 0 || stream.writableEnded) return reset(stream)
  const timer = setTimeout(() => reset(stream), FLUSH_MILLIS)
  stream.once("close", () => clearTimeout(timer))
  stream.write(NOTHING, () => {
    if (!stream.destroyed) reset(stream)
  })
}

const NOTHING = Buffer.alloc(0)

/** For a peer that reads slowly. One that does not read holds the stream no longer than this. */
const FLUSH_MILLIS = 30_000

/** Whether both directions have come to their end, so that closing loses nothing. */
export const isFinished = (stream: Duplex): boolean => stream.readableEnded && stream.writableFinished

const breakWith = (from: Duplex, to: Duplex, breakOff: (stream: Duplex) => void): void => {
  // `close` follows each error, and is where it is dealt with.
  from.on("error", () => undefined)
  const onClose = () => {
    if (!isFinished(from) && !to.destroyed) breakOff(to)
  }
  if (from.destroyed) onClose()
  else from.once("close", onClose)
}
