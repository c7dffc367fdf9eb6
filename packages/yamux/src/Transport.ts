/**
 * An ordered, reliable byte transport under a session. Where a chunk ends means nothing.
 * The session sets the four callbacks; the transport calls `onClose` once and nothing after it.
 */
export interface Transport {
  /** Takes ownership of the chunk. Never throws; on a closed transport it does nothing. */
  send(chunk: Uint8Array): void
  /**
   * As `send`, of two chunks that may go as one. `head` is the transport's; `payload` stays the caller's,
   * unchanged until `written` is called, which happens once, also when the transport fails.
   * Absent: the session copies and uses `send`.
   */
  sendJoined?(head: Uint8Array, payload: Uint8Array, written: () => void): void
  /** Between these, chunks may be held back so that they leave in one system call. */
  cork?(): void
  uncork?(): void
  /** Bytes handed over and not yet written out. */
  readonly bufferedAmount: number
  /** Stops reading, soon: a chunk that is already being handled may still arrive. */
  pause(): void
  resume(): void
  /** An orderly end, after what was sent. The code is a WebSocket's; others may ignore it. */
  close(code?: number, reason?: string): void
  /** Ends at once. What was sent may be lost. */
  terminate(): void
  /** An empty chunk stands for a message that carried nothing: it counts as a frame that moves nothing. */
  onData: (chunk: Buffer) => void
  /** Some of `bufferedAmount` was written out. */
  onDrain: () => void
  onClose: (error?: Error) => void
  /** What arrived can not be a byte stream, as a WebSocket's text message. */
  onProtocolError?: (message: string) => void
}
