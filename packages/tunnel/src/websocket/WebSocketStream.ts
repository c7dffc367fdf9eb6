import { BROKEN_OFF, END, STREAM_UPGRADE, UNAUTHORIZED } from "@edge-relay/protocol/ServiceStream"
import type { IncomingMessage } from "node:http"
import { Duplex } from "node:stream"
import { type RawData, WebSocket, WebSocketServer } from "ws"

/**
 * A WebSocket as a byte stream: binary messages are its bytes, back-pressure passes both ways, and with the
 * subprotocol of `@edge-relay/protocol/ServiceStream` so does the end of one direction. `destroy` before both
 * directions have ended closes it as broken off.
 */
export class WebSocketStream extends Duplex {
  /** Payload that came, and that was sent. */
  bytesRead = 0
  bytesWritten = 0
  readonly #socket: WebSocket
  readonly #keepsHalfClose: boolean

  constructor(socket: WebSocket) {
    super({ allowHalfOpen: true, readableHighWaterMark: highWaterMark, writableHighWaterMark: highWaterMark })
    this.#socket = socket
    this.#keepsHalfClose = socket.protocol === STREAM_UPGRADE
    socket.on("message", (data, isBinary) => this.#onMessage(data, isBinary))
    // `close` follows, and is where it is dealt with.
    socket.on("error", () => undefined)
    socket.once("close", (code) => this.#onClose(code))
  }

  /** Closes it because whoever it is for may no longer have it. */
  cut(): void {
    this.#socket.close(UNAUTHORIZED, "unauthorized")
    this.destroy()
  }

  /** Says that it is there, so that nothing between takes it for forgotten. */
  ping(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping()
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.bytesWritten += chunk.length
    let start = 0
    for (; chunk.length - start > maxSentBytes; start += maxSentBytes) {
      this.#socket.send(chunk.subarray(start, start + maxSentBytes), binary)
    }
    const last = start === 0 ? chunk : chunk.subarray(start)
    if (this.#socket.bufferedAmount < maxBuffered) {
      this.#socket.send(last, binary)
      done()
    } else {
      this.#socket.send(last, binary, done)
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#keepsHalfClose) return this.#socket.send(END, done)
    this.#socket.close(1000)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const isClean = error === null && this.readableEnded && this.writableFinished
    // Whoever does not answer the close is not waited for longer than `ws` does: 30 s.
    if (this.#socket.readyState !== WebSocket.CONNECTING) this.#socket.close(isClean ? 1000 : BROKEN_OFF)
    else this.#socket.terminate()
    // What it has not read holds back the answer to the close.
    this.#socket.resume()
    done(error)
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (this.destroyed || this.readableEnded) return
    if (!isBinary) {
      // Another text is none of this protocol's, nor any where the half-close is not agreed upon.
      if (this.#keepsHalfClose && String(data) === END) this.push(null)
      else this.destroy()
      return
    }
    // As `ws` gives them unless it is told otherwise.
    if (!Buffer.isBuffer(data) || data.length === 0) return
    this.bytesRead += data.length
    if (!this.push(data)) this.#socket.pause()
  }

  #onClose(code: number): void {
    if (this.destroyed) return
    if (code !== 1000) return void this.destroy(new Error(`the stream was broken off (${code})`))
    if (this.readableEnded && this.writableFinished) return void this.destroy()
    // Without the half-close the other one's end is the end of both.
    this.push(null)
    if (!this.writableEnded) this.end()
  }
}

const binary = { binary: true, compress: false } as const

/** Of each direction, in bytes. */
const highWaterMark = 256 * 1024
/** What may wait in the socket before a write is not taken at once. */
const maxBuffered = 1024 * 1024

/** Larger messages are none of ours, and would have to be held whole: whoever sends more bytes sends more messages. */
const maxMessageBytes = 1024 * 1024
const maxSentBytes = 256 * 1024

const server = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: maxMessageBytes,
  handleProtocols: (offered) => (offered.has(STREAM_UPGRADE) ? STREAM_UPGRADE : false)
})

/**
 * Answers a WebSocket's handshake with 101 and those header lines. `early` is what came behind the request. A handshake
 * that is none is answered by 4xx, and `onOpen` not called.
 */
export const accept = (
  request: IncomingMessage,
  socket: Duplex,
  early: Buffer,
  lines: ReadonlyArray<string>,
  onOpen: (stream: WebSocketStream) => void
): void => {
  const add = (headers: Array<string>, of: IncomingMessage) => {
    if (of === request) headers.push(...lines)
  }
  server.on("headers", add)
  // It answers before it returns.
  server.handleUpgrade(request, socket, early, (opened) => onOpen(new WebSocketStream(opened)))
  server.off("headers", add)
}
