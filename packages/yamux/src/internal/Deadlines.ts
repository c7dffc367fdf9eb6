import { GoAwayCode } from "../Frame.ts"
import type { Inflow } from "./Inflow.ts"
import type { Liveness } from "./Liveness.ts"
import type { Outbox } from "./Outbox.ts"
import { CloseCode } from "./SessionEnd.ts"
import type { SessionEnd } from "./SessionEnd.ts"
import type { SessionOptions } from "../SessionOptions.ts"
import type { StreamState } from "./StreamState.ts"
import type { StreamTable } from "./StreamTable.ts"
import type { Watched } from "../Timers.ts"
import { SessionError, YamuxError } from "../YamuxError.ts"

/** The parts of a session that have deadlines, and how it is ended. */
export interface DeadlinesParts {
  readonly options: SessionOptions
  readonly streams: StreamTable
  readonly outbox: Outbox
  readonly inflow: Inflow
  readonly liveness: Liveness
  readonly end: (error: SessionError, ending: SessionEnd) => void
}

/**
 * The deadlines of a session, and of its streams. It is watched only while there are any: ten thousand idle
 * sessions should not be looked at twice a second. What brings a new one is sent, or stops the reading.
 */
export class Deadlines implements Watched {
  readonly #parts: DeadlinesParts
  #state: "asleep" | "watched" | "stopped" = "asleep"

  constructor(parts: DeadlinesParts) {
    this.#parts = parts
    // With keep-alive there always is one.
    if (parts.options.keepAliveMillis > 0) this.wake()
  }

  /** There may be something to wait for. */
  wake(): void {
    if (this.#state !== "asleep") return
    this.#state = "watched"
    this.#parts.options.timers.watch(this)
  }

  stop(): void {
    this.#state = "stopped"
    this.#parts.options.timers.unwatch(this)
  }

  check(now: number): void {
    const { inflow, liveness, outbox, options, end } = this.#parts
    // While we do not read, silence says nothing about the peer.
    const silence = inflow.paused ? undefined : liveness.checkSilence(now)
    if (silence !== undefined) {
      const reason = { closeCode: CloseCode.heartbeatTimeout, closeReason: "heartbeat timeout" }
      return end(silence, { goAway: GoAwayCode.normal, ...reason })
    }
    const stall = outbox.checkStall(now)
    if (stall !== undefined) return end(stall, { terminate: true })
    const settled = this.#checkStreams(now)
    if (inflow.starved(now)) this.#shed()
    if (!settled || !outbox.idle || inflow.paused || options.keepAliveMillis > 0) return
    if (this.#state === "watched") {
      this.#state = "asleep"
      options.timers.unwatch(this)
    }
  }

  /** Answers whether none of them waits for anything. */
  #checkStreams(now: number): boolean {
    const { closeTimeoutMillis, openTimeoutMillis } = this.#parts.options
    let settled = true
    for (const state of this.#parts.streams.values()) {
      if (this.#state === "stopped") return true
      if (!state.settled) settled = false
      if (state.unanswered && now - state.openedAt >= openTimeoutMillis) {
        this.#openTimedOut(state)
      } else if (state.overdue(now, closeTimeoutMillis)) {
        const message = `stream ${state.id} was not closed by the peer in ${closeTimeoutMillis} ms`
        state.stream.destroy(new YamuxError("close_timeout", message))
      }
    }
    return settled
  }

  #openTimedOut(state: StreamState): void {
    const { openTimeoutAction, openTimeoutMillis } = this.#parts.options
    const message = `stream ${state.id} was not answered in ${openTimeoutMillis} ms`
    if (openTimeoutAction === "reset") state.stream.destroy(new YamuxError("open_timeout", message))
    else this.#parts.end(new SessionError("open_timeout", message), { goAway: GoAwayCode.normal })
  }

  /**
   * Nothing is read from the streams that fill the session's memory: the fullest go, so that the others go on. Half of
   * the memory is free then: were it a stream's, the next that is stuck would soon stop all of them again.
   */
  #shed(): void {
    const { streams, inflow, options } = this.#parts
    while (inflow.unread > options.sessionBudget / 2) {
      const { fullest } = streams
      if (fullest === undefined || fullest.unread === 0) return
      const message = `stream ${fullest.id} held ${fullest.unread} unread bytes while the session's memory was full`
      fullest.stream.destroy(new YamuxError("read_timeout", message))
    }
  }
}
