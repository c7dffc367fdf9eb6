import type { Duplex } from "node:stream"
import { Predicate } from "effect"
import { MAX_CONTROL_LINE } from "@edge-relay/protocol/TunnelProtocol"

/** A line of the control stream was not a JSON object, or was longer than it may be. */
export class ControlError extends Error {
  override readonly name = "ControlError"
}

export interface ControlListener {
  /** One object of one line; its `type` decides what it is. Unknown types are to be ignored. */
  readonly onMessage: (message: { readonly [key: string]: unknown }) => void
  /** Once, at the latest when the stream closes; nothing is delivered after it. */
  readonly onEnd: (error?: ControlError) => void
}

/** JSON objects, one a line, over one stream of the tunnel. At most one line is held in memory. */
export class ControlChannel {
  readonly #stream: Duplex
  readonly #listener: ControlListener
  #pending: Array<Buffer> = []
  #pendingSize = 0
  #ended = false

  constructor(stream: Duplex, listener: ControlListener) {
    this.#stream = stream
    this.#listener = listener
    stream.on("data", (chunk: Buffer) => this.#receive(chunk))
    // What went wrong is the session's to tell; `close` always follows.
    stream.on("error", ignore)
    const onEnd = () => this.#end()
    stream.on("end", onEnd).on("close", onEnd)
  }

  send(message: { readonly type: string }): void {
    if (this.#stream.writable) this.#stream.write(`${JSON.stringify(message)}\n`)
  }

  /** No more messages from us; the other end may still finish its own. */
  close(): void {
    this.#stream.end()
  }

  #receive(chunk: Buffer): void {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0 && !this.#ended; end = chunk.indexOf(NEWLINE, start)) {
      this.#pending.push(chunk.subarray(start, end))
      this.#pendingSize += end - start
      start = end + 1
      if (this.#pendingSize > MAX_CONTROL_LINE) return this.#tooLong()
      this.#line()
    }
    if (this.#ended || start === chunk.length) return
    // Copied, since a line may wait for long and would keep the whole message alive that it came in.
    this.#pending.push(Buffer.from(chunk.subarray(start)))
    this.#pendingSize += chunk.length - start
    if (this.#pendingSize > MAX_CONTROL_LINE) this.#tooLong()
  }

  #line(): void {
    const line = Buffer.concat(this.#pending, this.#pendingSize).toString("utf8")
    this.#pending = []
    this.#pendingSize = 0
    if (line.trim() === "") return
    let message: unknown
    try {
      message = JSON.parse(line)
    } catch {
      return this.#end(new ControlError("control message is not JSON"))
    }
    if (!Predicate.isObject(message)) return this.#end(new ControlError("control message is not an object"))
    this.#listener.onMessage(message)
  }

  #tooLong(): void {
    this.#end(new ControlError(`control message longer than ${MAX_CONTROL_LINE} bytes`))
  }

  #end(error?: ControlError): void {
    if (this.#ended) return
    this.#ended = true
    this.#pending = []
    this.#listener.onEnd(error)
  }
}

function ignore(): void {}

const NEWLINE = 0x0a
