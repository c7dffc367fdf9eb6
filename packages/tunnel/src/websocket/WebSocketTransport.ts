import type { Socket } from "node:net"
import { WebSocket } from "ws"
import type { RawData } from "ws"
import { PacedQueue } from "./PacedQueue.ts"
import { writeMasked, writeUnmasked, writeWhole } from "./WebSocketFrame.ts"
import { WebSocketReader } from "./WebSocketReader.ts"
import type { Transport } from "@edge-relay/yamux/Transport"

/** The peer's close frame, or the rest of what we sent, may take this long after `close`. */
const CLOSE_MILLIS = 5_000

/** RFC 6455 section 5.5: a control frame's payload is at most 125 bytes, two of which are the code. */
const LONGEST_REASON = 123

/**
 * Sockets that were reset are closed a few at a time, with all that ends with them: of ten thousand that a router cuts
 * off together, the system calls alone would keep the process from everything else for 100 ms, and the rest longer.
 */
const TURN_MILLIS = 10
const closings = new PacedQueue(TURN_MILLIS)

const EMPTY = Buffer.alloc(0)

const sendOptions = { binary: true, compress: false, fin: true }

/**
 * A WebSocket as a byte stream: binary messages in order, whose boundaries mean nothing.
 *
 * Made in the same turn in which the WebSocket opens, or before: a later listener would miss messages.
 * The WebSocket has to be made with `perMessageDeflate: false`, and with the `maxPayload` below.
 *
 * `ws` does the handshake, pings and the close; messages go past it, straight between the socket and us, and
 * its "message" event is not emitted any more.
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
  #socket: Socket | undefined = undefined
  /** A client masks what it sends (RFC 6455 section 5.3); only its WebSocket has a URL. */
  readonly #client: boolean
  /** What arrives before `onData` and `onClose` are set waits for them. */
  #onData: ((chunk: Buffer) => void) | undefined = undefined
  #onClose: ((error?: Error) => void) | undefined = undefined
  #early: Array<Buffer> = []
  /** The peer's frames can no longer be read, its answer to our close frame included. */
  #broken = false
  #closed = false
  #error: Error | undefined = undefined
  #closeTimer: NodeJS.Timeout | undefined = undefined

  readonly #sent = (): void => {
    if (!this.#closed) this.onDrain()
  }

  constructor(webSocket: WebSocket) {
    this.#webSocket = webSocket
    this.#client = Boolean(webSocket.url)
    webSocket.binaryType = "nodebuffer"
    webSocket.on("error", (error) => {
      this.#error ??= error
    })
    webSocket.on("close", (code, reason) => this.#onWebSocketClose(code, reason.toString()))
    if (webSocket.readyState === WebSocket.OPEN) this.#attach()
    else webSocket.once("open", () => this.#attach())
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
    return this.#socket === undefined ? this.#webSocket.bufferedAmount : this.#socket.writableLength
  }

  send(chunk: Uint8Array): void {
    if (this.#webSocket.readyState !== WebSocket.OPEN) return
    if (this.#socket === undefined) this.#webSocket.send(chunk, sendOptions, this.#sent)
    else writeWhole(this.#socket, chunk, this.#client, this.#sent)
  }

  sendJoined(head: Uint8Array, payload: Uint8Array, written: () => void): void {
    if (this.#webSocket.readyState !== WebSocket.OPEN) return written()
    const done = (): void => {
      written()
      this.#sent()
    }
    if (this.#socket === undefined) this.#webSocket.send(Buffer.concat([head, payload]), sendOptions, done)
    else if (this.#client) writeMasked(this.#socket, head, payload, done)
    else writeUnmasked(this.#socket, head, payload, done)
  }

  cork(): void {
    this.#socket?.cork()
  }

  uncork(): void {
    this.#socket?.uncork()
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
    if (this.#broken) this.#socket?.end()
    this.#closeTimer ??= setTimeout(() => this.#webSocket.terminate(), CLOSE_MILLIS).unref()
  }

  terminate(): void {
    this.#webSocket.terminate()
  }

  /**
   * Puts our reader in the place of `ws`'s on the socket, which goes on to get the control frames. Without a
   * socket, or with one that is not as we know it, everything goes through `ws`.
   */
  #attach(): void {
    // Private, and stable for ten years: there is no public way to cork, or to read past `ws`.
    const { _socket: socket } = this.#webSocket as WebSocket & { readonly _socket?: Socket | null }
    const [toWebSocket, ...others] = socket?.listeners("data") ?? []
    if (!socket || toWebSocket === undefined || others.length > 0 || this.#webSocket.extensions !== "") {
      this.#webSocket.on("message", (data, isBinary) => this.#onMessage(data, isBinary))
      return
    }
    this.#socket = socket
    paceClosing(socket)
    const reader = new WebSocketReader(!this.#client, {
      onPayload: (chunk) => this.#receive(chunk),
      onControl: (frame) => {
        toWebSocket.call(socket, frame)
        // A ping or pong carries nothing: the session counts it.
        this.#receive(EMPTY)
      },
      onInvalid: (message) => {
        this.#broken = true
        this.onProtocolError(message)
      }
    })
    socket.off("data", toWebSocket)
    // Without an encoding, which nobody has set, a socket gives out Buffers.
    socket.on("data", (chunk) => typeof chunk !== "string" && reader.push(chunk))
    // What a paused socket still holds would otherwise be given to `ws` when it closes.
    socket.prependListener("close", () => socket.read())
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    // With `binaryType` "nodebuffer" a message is one Buffer.
    const chunk = Buffer.isBuffer(data) ? data : Buffer.alloc(0)
    if (isBinary) this.#receive(chunk)
    else this.onProtocolError("a text message is not part of the protocol")
  }

  #receive(chunk: Buffer): void {
    if (this.#onData !== undefined) return this.#onData(chunk)
    if (chunk.length === 0) return
    this.#early.push(chunk)
    this.#webSocket.pause()
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

/**
 * A stream's end is its `_destroy`, which is there to be overridden: here it waits for its turn where reading has
 * failed, since nothing more is read from such a socket. Any other is closed at once, as it might be.
 */
const paceClosing = (socket: Socket): void => {
  const destroy = socket._destroy
  socket._destroy = (error: NodeJS.ErrnoException | null, callback) => {
    if (error?.syscall === "read") closings.push(() => destroy.call(socket, error, callback))
    else destroy.call(socket, error, callback)
  }
}

function ignore(): void {}

/** As much of the text as fits, of whole characters. */
const shortened = (text: string): string => {
  let short = text
  while (Buffer.byteLength(short) > LONGEST_REASON) short = short.slice(0, -1)
  return short
}
