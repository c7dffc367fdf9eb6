import type { Transport } from "../../src/Transport.ts"

/** A transport in memory, for a test to play the peer of: what was sent is there to read, what is fed arrives. */
export class MemoryTransport implements Transport {
  onData: (chunk: Buffer) => void = ignore
  onDrain: () => void = ignore
  onClose: (error?: Error) => void = ignore
  onProtocolError: (message: string) => void = ignore

  /** Each message that was sent and not read by the test. */
  messages: Array<Buffer> = []
  paused = false
  /** While true, what is sent counts as unwritten. */
  blocked = false
  bufferedAmount = 0
  closedWith: { readonly code: number | undefined; readonly reason: string | undefined } | undefined
  terminated = false
  /** Payloads that were sent without a copy and wait for `release`. */
  #written: Array<() => void> = []

  send(chunk: Uint8Array): void {
    if (this.closedWith !== undefined || this.terminated) return
    this.messages.push(Buffer.from(chunk))
    if (this.blocked) this.bufferedAmount += chunk.length
  }

  sendJoined(head: Uint8Array, payload: Uint8Array, written: () => void): void {
    this.send(Buffer.concat([head, payload]))
    if (this.blocked) this.#written.push(written)
    else written()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  close(code?: number, reason?: string): void {
    this.closedWith ??= { code, reason }
  }

  terminate(): void {
    this.terminated = true
  }

  /** The transport takes what it held, and goes on taking. */
  release(): void {
    this.blocked = false
    this.bufferedAmount = 0
    const written = this.#written
    this.#written = []
    for (const callback of written) callback()
    this.onDrain()
  }
}

function ignore(): void {}
