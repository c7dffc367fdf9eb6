import { INITIAL_WINDOW, UINT32_MAX } from "./Frame.ts"

/** How many bytes of payload the peer lets us send on one stream. */
export class SendWindow {
  available = INITIAL_WINDOW

  /** Saturates at 2^32 - 1: a peer that grants more means "no limit", and must not wrap round to none. */
  grant(delta: number): void {
    this.available = Math.min(this.available + delta, UINT32_MAX)
  }

  spend(length: number): void {
    this.available -= length
  }
}
