import { Effect } from "effect"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"

/** Between two lines in the log. */
const EVERY_MILLIS = 60_000

export interface StrayDataOptions {
  /** Milliseconds. */
  readonly now: () => number
  /** Runs it in the background. */
  readonly run: (log: Effect.Effect<void>) => void
}

/**
 * Data for streams that are not open, of all tunnels of a process. Some of it is in order, since what is under way
 * when a stream is reset crosses that; much of it is a peer that does not hear us. So it is logged, but one line a
 * minute at most, with what has come since the last.
 */
export class StrayData {
  readonly #options: StrayDataOptions
  #loggedAt = Number.NEGATIVE_INFINITY
  #frames = 0
  #bytes = 0

  constructor(options: StrayDataOptions) {
    this.#options = options
  }

  /** `edgeId`: whose tunnel it was, where there are several. */
  add(frame: { readonly streamId: number; readonly bytes: number; readonly edgeId?: EdgeId }): void {
    this.#frames++
    this.#bytes += frame.bytes
    const now = this.#options.now()
    if (now - this.#loggedAt < EVERY_MILLIS) return
    const latest = { streamId: frame.streamId, ...(frame.edgeId !== undefined && { edgeId: frame.edgeId }) }
    const log = Effect.logInfo("data came for streams that are not open").pipe(
      Effect.annotateLogs({ frames: this.#frames, bytes: this.#bytes, ...latest })
    )
    this.#loggedAt = now
    this.#frames = 0
    this.#bytes = 0
    this.#options.run(log)
  }
}
