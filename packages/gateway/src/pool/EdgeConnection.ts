import { reset } from "@edge-relay/tunnel/Splice"
import type { EdgeStream } from "@edge-relay/domain/tunnels/DialError"
import type { Duplex } from "node:stream"
import type { ResponseHead } from "../http/ResponseHead.ts"
import { MalformedResponse } from "../http/MalformedResponse.ts"
import { ResponseReader, type ResponseSink } from "../http/ResponseReader.ts"

/**
 * One tunnel stream, which is one connection to an edge's local server: HTTP/1.1 requests go over it one after
 * the other. What arrives while none is under way breaks it: the next answer would be somebody else's.
 */

/** Who asked. Called back in turn: head, body, end, or broken at any point. */
export interface ConnectionSink extends ResponseSink {
  /** Whether 101 is an answer to what was asked. */
  readonly mayUpgrade: boolean
  /** Whether all of the request has been written: else the connection cannot be used again. */
  readonly isSent: () => boolean
  /** No more of what has arrived is at hand: what was held back can go out. */
  readonly onFlush: () => void
  readonly onEnd: () => void
  /** 101: the stream is the asker's from here on, with the bytes that came behind. */
  readonly onSwitch: (stream: Duplex, behind: Buffer | undefined) => void
  /** The edge broke off, or answered what is not HTTP. */
  readonly onBroken: (why: Broken) => void
  /** What was written has gone out. */
  readonly onDrain: () => void
}

export interface Broken {
  /** Nothing of an answer had come. */
  readonly silent: boolean
  /** The connection had carried an answer before this one. */
  readonly reused: boolean
  readonly detail: string
  /** What was thrown, where it was a bug of ours and not the edge. */
  readonly defect?: unknown
}

export interface ConnectionOwner {
  /** It can be asked again; `idleSeconds` is how long the edge's server said that it waits. */
  readonly onFree: (connection: EdgeConnection, idleSeconds: number | undefined) => void
  readonly onClosed: (connection: EdgeConnection) => void
}

/** How long an edge may take to close its side, once both have said all. */
const closeMillis = 2000

export class EdgeConnection {
  readonly protocol: EdgeStream["protocol"]
  /** Milliseconds since 1970: when it became idle, and until when it may be asked again. Its pool's. */
  idleSince = 0
  idleUntil = 0
  readonly #stream: Duplex
  readonly #owner: ConnectionOwner
  #reader: ResponseReader | undefined
  #sink: ConnectionSink | undefined
  #head: ResponseHead | undefined
  #answers = 0
  #silent = true

  constructor({ stream, protocol }: EdgeStream, owner: ConnectionOwner) {
    this.protocol = protocol
    this.#stream = stream
    this.#owner = owner
    stream.on("data", this.#onData)
    stream.on("end", this.#onEnd)
    stream.on("drain", this.#onDrain)
    // `close` follows, and is where it is dealt with.
    stream.on("error", ignore)
    stream.once("close", this.#onClose)
  }

  get needsDrain(): boolean {
    return this.#stream.writableNeedDrain
  }

  /** Writes a request's head; its answer is the sink's. */
  begin(method: string, head: string, sink: ConnectionSink): void {
    this.#sink = sink
    this.#silent = true
    this.#reader = new ResponseReader(method, {
      place: sink.place,
      onInformation: sink.onInformation,
      onHead: this.#onHead,
      onBody: sink.onBody
    })
    this.#stream.write(head, "latin1")
  }

  /** False where the writer should wait for `onDrain`. */
  write(chunk: Buffer): boolean {
    return this.#stream.write(chunk)
  }

  writeChunk(chunk: Buffer): boolean {
    this.#stream.cork()
    this.#stream.write(`${chunk.length.toString(16)}\r\n`, "latin1")
    this.#stream.write(chunk)
    const more = this.#stream.write("\r\n", "latin1")
    this.#stream.uncork()
    return more
  }

  writeLastChunk(): void {
    this.#stream.write("0\r\n\r\n", "latin1")
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  /** Resets the edge's local connection. The sink hears no more. */
  destroy(): void {
    this.#sink = undefined
    this.#reader = undefined
    if (!this.#stream.destroyed) reset(this.#stream)
  }

  /** Both sides have said all: a clean end. */
  close(): void {
    if (this.#stream.destroyed) return
    this.#stream.end()
    this.#stream.resume()
    const timer = setTimeout(() => this.destroy(), closeMillis).unref()
    this.#stream.once("close", () => clearTimeout(timer))
  }

  readonly #onHead = (head: ResponseHead): void => {
    this.#head = head
    if (head.status === 101 && this.#sink?.mayUpgrade !== true) {
      throw new MalformedResponse("an upgrade that nobody asked for")
    }
    this.#sink?.onHead(head)
  }

  readonly #onData = (chunk: Buffer): void => {
    const reader = this.#reader
    if (reader === undefined) return this.destroy()
    this.#silent = false
    try {
      const behind = reader.push(chunk)
      // The sink may have given up in the middle.
      if (this.#reader !== reader) return
      if (reader.isDone) this.#settle(behind)
      else this.#sink?.onFlush()
    } catch (error) {
      this.#onThrown(error)
    }
  }

  readonly #onThrown = (error: unknown): void => {
    if (error instanceof MalformedResponse) return this.#break(error.message)
    this.#break("its answer could not be passed on", error)
  }

  /** The sink is let go once it has been told, so that it hears of what it throws itself. */
  #settle(behind: Buffer | undefined): void {
    const sink = this.#sink
    const head = this.#head
    this.#reader = undefined
    this.#head = undefined
    this.#answers++
    if (sink === undefined || head === undefined) return this.destroy()
    // The browser may have been slower than the edge.
    if (this.#stream.isPaused()) this.#stream.resume()
    if (head.status === 101) return this.#switch(sink, behind)
    const reusable = head.keepAlive && behind === undefined && this.protocol === "v2"
    const sent = sink.isSent()
    sink.onEnd()
    this.#sink = undefined
    if (!sent) this.destroy()
    else if (reusable && !this.#stream.destroyed) this.#owner.onFree(this, head.idleSeconds)
    else this.close()
  }

  #switch(sink: ConnectionSink, behind: Buffer | undefined): void {
    this.#stream.off("data", this.#onData)
    this.#stream.off("end", this.#onEnd)
    this.#stream.off("drain", this.#onDrain)
    this.#stream.pause()
    sink.onSwitch(this.#stream, behind)
    this.#sink = undefined
  }

  readonly #onEnd = (): void => {
    const reader = this.#reader
    if (reader === undefined) {
      // Nobody is being answered: the edge's server has closed an idle connection.
      if (this.#stream.writableEnded) return
      this.#owner.onClosed(this)
      this.close()
      return
    }
    try {
      if (reader.finish()) this.#settle(undefined)
      else this.#break("it ended the connection")
    } catch (error) {
      this.#onThrown(error)
    }
  }

  readonly #onClose = (): void => {
    if (this.#reader !== undefined) this.#break("the connection broke")
    this.#owner.onClosed(this)
  }

  readonly #onDrain = (): void => this.#sink?.onDrain()

  #break(detail: string, defect?: unknown): void {
    const sink = this.#sink
    const why = { silent: this.#silent, reused: this.#answers > 0, detail, defect }
    this.destroy()
    sink?.onBroken(why)
  }
}

const ignore = (): void => undefined
