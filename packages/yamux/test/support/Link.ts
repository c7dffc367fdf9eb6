import type { Transport } from "../../src/Transport.ts"
import type { Random } from "@edge-relay/testkit/Random"

export interface LinkOptions {
  /** Cuts what is delivered at random places. */
  readonly random?: Random
  /** Bytes that one side delivers in one round of the event loop. */
  readonly bytesPerRound?: number
}

/** Two transports, each the other's peer: in order, in later rounds of the event loop, at a limited pace. */
export const link = (options: LinkOptions = {}): readonly [LinkedTransport, LinkedTransport] => {
  const left = new LinkedTransport(options)
  const right = new LinkedTransport(options)
  left.peer = right
  right.peer = left
  return [left, right]
}

interface Sent {
  readonly chunk: Buffer
  readonly written: (() => void) | undefined
}

export class LinkedTransport implements Transport {
  onData: (chunk: Buffer) => void = ignore
  onDrain: () => void = ignore
  onClose: (error?: Error) => void = ignore
  onProtocolError: (message: string) => void = ignore
  bufferedAmount = 0
  peer: LinkedTransport | undefined
  readonly #options: LinkOptions
  #queue: Array<Sent> = []
  #running = false
  #paused = false
  #ending = false
  #closed = false

  constructor(options: LinkOptions) {
    this.#options = options
  }

  send(chunk: Uint8Array): void {
    this.#enqueue(Buffer.from(chunk), undefined)
  }

  sendJoined(head: Uint8Array, payload: Uint8Array, written: () => void): void {
    if (this.#ending || this.#closed) return written()
    this.#enqueue(Buffer.concat([head, payload]), written)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.peer?.run()
  }

  close(): void {
    this.#ending = true
    this.run()
  }

  /** As if the cable were cut: both ends see it, and what was on its way is lost. */
  terminate(error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    const lost = this.#queue
    this.#queue = []
    this.bufferedAmount = 0
    for (const sent of lost) sent.written?.()
    setImmediate(() => {
      this.onClose(error)
      this.peer?.terminate(error)
    })
  }

  #enqueue(chunk: Buffer, written: (() => void) | undefined): void {
    if (this.#ending || this.#closed) return
    this.#queue.push({ chunk, written })
    this.bufferedAmount += chunk.length
    this.run()
  }

  run(): void {
    if (this.#running || this.#closed) return
    this.#running = true
    setImmediate(() => {
      this.#running = false
      this.#round()
    })
  }

  #round(): void {
    const { bytesPerRound = Number.POSITIVE_INFINITY, random } = this.#options
    const peer = this.peer
    if (peer === undefined) return
    let left = random === undefined ? bytesPerRound : Math.min(bytesPerRound, 1 + random.below(300_000))
    while (left > 0 && this.#queue.length > 0 && !this.#closed && !peer.#paused) {
      const sent = this.#queue.shift()
      if (sent === undefined) return
      const wanted = random === undefined ? left : 1 + random.below(Math.min(left, 70_000))
      const part = sent.chunk.subarray(0, wanted)
      left -= part.length
      this.bufferedAmount -= part.length
      if (part.length < sent.chunk.length) {
        this.#queue.unshift({ chunk: sent.chunk.subarray(part.length), written: sent.written })
      } else {
        sent.written?.()
      }
      if (!peer.#closed) peer.onData(part)
      if (!this.#closed) this.onDrain()
    }
    if (this.#queue.length > 0) {
      if (!peer.#paused) this.run()
    } else if (this.#ending) {
      this.terminate()
    }
  }
}

function ignore(): void {}
