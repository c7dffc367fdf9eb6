import type { Socket } from "node:net"
import { WebSocket } from "ws"
import type { RawData } from "ws"
import { writeMasked, writeUnmasked } from "./WebSocketFrame.ts"
import type { Transport } from "./yamux/Transport.ts"

/** The peer's close frame, or the rest of what we sent, may take this long after `close`. */
const CLOSE_MILLIS = 5_000

/** RFC 6455 section 5.5: a control frame's payload is at most 125 bytes, two of which are the code. */
const LONGEST_REASON = 123

const sendOptions = { binary: true, compress: false, fin: true }

/**
 * A WebSocket as a byte stream: binary messages in order, whose boundaries mean nothing.
 *
 * Made in the same turn in which the WebSocket opens, or before: a later listener would miss messages.
 * The WebSocket has to be made with `perMessageDeflate: false`, and with the `maxPayload` below.
 */
export class WebSocketTransport implements Transport {
  /**
   * The longest message to accept: a peer may send a whole window, 4 MiB once grown, in one frame and message.
   */
  static readonly maxPayload = 4 * 1024 * 1024 + 64 * 1024

  onDrain: () => void = ignore
  onProtocolError: (message: string) => void = (message) => this.close(4009, `protocol error: ${message}`)

  /** The close code and reason that were received, once it has closed: 1006 if there were none. */
  closeCode: number | undefined = undefined
  closeReason = ""

  readonly #webSocket: WebSocket
  /** A client masks what it sends (RFC 6455 section 5.3). */
  readonly #masking: boolean
  /** What arrives before `onData` and `onClose` are set waits for them. */
  #onData: ((chunk: Buffer) => void) | undefined = undefined
  #onClose: ((error?: Error) => void) | undefined = undefined
  #early: Array<Buffer> = []
  #closed = false
  #error: Error | undefined = undefined
  #closeTimer: NodeJS.Timeout | undefined = undefined

  readonly #sent = (): void => {
    if (!this.#closed) this.onDrain()
  }

  constructor(webSocket: WebSocket) {
    this.#webSocket = webSocket
    // Only a client's WebSocket has a URL.
    this.#masking = webSocket.url !== undefined && webSocket.url !== ""
    webSocket.binaryType = "nodebuffer"
    webSocket.on("message", (data, isBinary) => this.#onMessage(data, isBinary))
    webSocket.on("error", (error) => {
      this.#error ??= error
    })
    webSocket.on("close", (code, reason) => this.#onWebSocketClose(code, reason.toString()))
  }

  get onData(): (chunk: Buffer) => void {
    return this.#onData ?? ignore
  }

  set onData(handler: (chunk: Buffer) => void) {
    this.#onData = handler
    const early = this.#early
    this.#early = []
    if (early.length > 0) this.#webSocket.resume()
    for (const chunk of early) handler(chunk)
  }

  get onClose(): (error?: Error) => void {
    return this.#onClose ?? ignore
  }

  set onClose(handler: (error?: Error) => void) {
    const late = this.#onClose === undefined && this.#closed
    this.#onClose = handler
    if (late) process.nextTick(handler, this.#error)
  }

  get bufferedAmount(): number {
    return this.#webSocket.bufferedAmount
  }

  send(chunk: Uint8Array): void {
    if (this.#webSocket.readyState === WebSocket.OPEN) this.#webSocket.send(chunk, sendOptions, this.#sent)
  }

  sendJoined(head: Uint8Array, payload: Uint8Array, written: () => void): void {
    const socket = socketOf(this.#webSocket)
    if (this.#webSocket.readyState !== WebSocket.OPEN || socket === undefined) return written()
    const done = (): void => {
      written()
      this.#sent()
    }
    if (this.#masking) writeMasked(socket, head, payload, done)
    else writeUnmasked(socket, head, payload, done)
  }

  cork(): void {
    socketOf(this.#webSocket)?.cork()
  }

  uncork(): void {
    socketOf(this.#webSocket)?.uncork()
  }

  pause(): void {
    this.#webSocket.pause()
  }

  resume(): void {
    this.#webSocket.resume()
  }

  close(code?: number, reason = ""): void {
    if (this.#closed) return
    // A paused WebSocket would never see the answer to its close frame.
    this.#webSocket.resume()
    this.#webSocket.close(code, shortened(reason))
    this.#closeTimer ??= setTimeout(() => this.#webSocket.terminate(), CLOSE_MILLIS).unref()
  }

  terminate(): void {
    this.#webSocket.terminate()
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    // With `binaryType` "nodebuffer" a message is one Buffer.
    const chunk = Buffer.isBuffer(data) ? data : Buffer.alloc(0)
    if (!isBinary) this.onProtocolError(`a text message of ${chunk.length} bytes is not part of the protocol`)
    else if (this.#onData !== undefined) this.#onData(chunk)
    else {
      this.#early.push(chunk)
      this.#webSocket.pause()
    }
  }

  #onWebSocketClose(code: number, reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.closeCode = code
    this.closeReason = reason
    clearTimeout(this.#closeTimer)
    if (code !== 1000 && code !== 1001 && code !== 1005) {
      this.#error ??= new Error(`the WebSocket closed with ${code}${reason === "" ? "" : ` ${reason}`}`)
    }
    this.#onClose?.(this.#error)
  }
}

function ignore(): void {}

/** As much of the text as fits, of whole characters. */
const shortened = (text: string): string => {
  let short = text
  while (Buffer.byteLength(short) > LONGEST_REASON) short = short.slice(0, -1)
  return short
}

/** `ws` has no public way to cork its socket; without one, every message costs a system call of its own. */
const socketOf = (webSocket: WebSocket): Socket | undefined => {
  const { _socket: socket } = webSocket as WebSocket & { readonly _socket?: Socket | null }
  return socket ?? undefined
}
