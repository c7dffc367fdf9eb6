import type { Channel } from "./Channel.ts"
import type { Channels } from "./Channels.ts"
import { GoAwayCode } from "./Frame.ts"
import type { Inflow } from "./Inflow.ts"
import type { Liveness } from "./Liveness.ts"
import type { Outbox } from "./Outbox.ts"
import type { Pings } from "./Pings.ts"
import { CloseCode } from "./SessionEnd.ts"
import type { SessionEnd } from "./SessionEnd.ts"
import type { SessionOptions } from "./SessionOptions.ts"
import type { Watched } from "./Timers.ts"
import type { Transport } from "./Transport.ts"
import { SessionError, YamuxError } from "./YamuxError.ts"

/** What deadlines are kept of: the parts of a session, and how it is ended. */
export interface DeadlinesParts {
  readonly options: SessionOptions
  readonly transport: Transport
  readonly channels: Channels
  readonly outbox: Outbox
  readonly inflow: Inflow
  readonly pings: Pings
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
    // It has to be asked after by nobody but us.
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
    const { inflow, liveness, pings, transport, outbox, options, end } = this.#parts
    // While we do not read, silence says nothing about the peer.
    const silence = inflow.paused ? undefined : liveness.checkReading(now, pings)
    if (silence !== undefined) {
      const reason = { closeCode: CloseCode.heartbeatTimeout, closeReason: "heartbeat timeout" }
      return end(silence, { goAway: GoAwayCode.normal, ...reason })
    }
    const buffered = transport.bufferedAmount
    const stall = liveness.checkWriting(now, buffered)
    if (stall !== undefined) return end(stall, { terminate: true })
    const settled = this.#checkChannels(now)
    if (inflow.starved(now)) this.#shed()
    if (!settled || buffered > 0 || !outbox.idle || inflow.paused || options.keepAliveMillis > 0) return
    if (this.#state === "watched") {
      this.#state = "asleep"
      options.timers.unwatch(this)
    }
  }

  /** Answers whether none of them waits for anything. */
  #checkChannels(now: number): boolean {
    const { closeTimeoutMillis, openTimeoutMillis } = this.#parts.options
    let settled = true
    for (const channel of this.#parts.channels.values()) {
      if (this.#state === "stopped") return true
      if (!channel.settled) settled = false
      if (channel.unanswered && now - channel.openedAt >= openTimeoutMillis) {
        this.#openTimedOut(channel)
      } else if (channel.overdue(now, closeTimeoutMillis)) {
        const message = `stream ${channel.id} was not closed by the peer in ${closeTimeoutMillis} ms`
        channel.stream.destroy(new YamuxError("close_timeout", message))
      }
    }
    return settled
  }

  #openTimedOut(channel: Channel): void {
    const { openTimeoutAction, openTimeoutMillis } = this.#parts.options
    const message = `stream ${channel.id} was not answered in ${openTimeoutMillis} ms`
    if (openTimeoutAction === "reset") channel.stream.destroy(new YamuxError("open_timeout", message))
    else this.#parts.end(new SessionError("open_timeout", message), { goAway: GoAwayCode.normal })
  }

  /**
   * Nothing is read from the streams that fill the session's memory: the fullest go, so that the others go on. Half of
   * the memory is free then: were it a stream's, the next that is stuck would soon stop all of them again.
   */
  #shed(): void {
    const { channels, inflow, options } = this.#parts
    while (inflow.unread > options.sessionBudget / 2) {
      const { fullest } = channels
      if (fullest === undefined || fullest.unread === 0) return
      const message = `stream ${fullest.id} held ${fullest.unread} unread bytes while the session's memory was full`
      fullest.stream.destroy(new YamuxError("read_timeout", message))
    }
  }
}
