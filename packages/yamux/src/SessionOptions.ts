import { INITIAL_WINDOW, UINT32_MAX } from "./Frame.ts"
import { systemTimers } from "./Timers.ts"
import type { Timers } from "./Timers.ts"
import { SessionError } from "./YamuxError.ts"

/** Every bound of a session, with its default. Times are in milliseconds, sizes in bytes. */
export interface SessionOptions {
  /** Streams open at once, of both ends. */
  readonly maxStreams: number
  /** Own streams that the peer has not answered, and inbound ones that wait for `onStream` to be set. */
  readonly acceptBacklog: number
  /**
   * Payload of a DATA frame that we send, 64 KiB at most. Small, so that streams take turns, and so that most
   * frames lie within one read of the peer's socket: 16 KiB are faster than 64, which `ws` has to put together.
   */
  readonly maxFramePayload: number
  /** A new stream's receive window; the protocol's own, 256 KiB, is the least. */
  readonly initialWindow: number
  /** What a receive window may grow to. */
  readonly maxWindow: number
  /** Sum of the receive windows past which none grows, and of unread bytes past which reading stops. */
  readonly sessionBudget: number
  /** Bytes that a stream's `write` takes before it answers false; less where there are many streams. */
  readonly writeAhead: number
  /** Unwritten bytes in the transport past which streams wait; less where it is slow. */
  readonly sendHighWater: number
  /** Silence after which the peer is asked for a sign of life. 0: it is not. */
  readonly keepAliveMillis: number
  /** Silence after having asked, after which the session ends. */
  readonly keepAliveTimeoutMillis: number
  /** An own stream that the peer does not answer (hashicorp/yamux: 75 s). */
  readonly openTimeoutMillis: number
  /** What then: reset that stream, or end the session as hashicorp/yamux does. */
  readonly openTimeoutAction: "reset" | "close"
  /** A stream that is closed on one side and does not move on the other (hashicorp/yamux: 5 min). */
  readonly closeTimeoutMillis: number
  /** A transport that takes no byte: 10 s would kill a healthy slow upload. */
  readonly writeTimeoutMillis: number
  /** A reading stopped by `sessionBudget`, after which the streams with the most unread bytes are reset. */
  readonly readTimeoutMillis: number
  /** How long `close` waits for the peer to take what was written. */
  readonly lingerMillis: number
  /** Inbound streams that the peer resets, or that are refused, at once and then each second. */
  readonly resetBurst: number
  readonly resetsPerSecond: number
  /**
   * Frames that move nothing, at once and then each second: pings, pongs and window updates that nobody waits for,
   * empty data, frames for streams that are not open. A thousand streams that are reset at once may leave some
   * 190,000 frames of data behind; the rate costs less than one hundredth of a core.
   */
  readonly uselessFrameBurst: number
  readonly uselessFramesPerSecond: number
  /** The id of the first own stream, of the role's parity. Default: 1 for a client, 2 for a server. */
  readonly firstStreamId?: number
  readonly timers: Timers
}

export const defaultSessionOptions: SessionOptions = {
  maxStreams: 1024,
  acceptBacklog: 256,
  maxFramePayload: 16 * 1024,
  initialWindow: INITIAL_WINDOW,
  maxWindow: 4 * 1024 * 1024,
  sessionBudget: 16 * 1024 * 1024,
  writeAhead: 512 * 1024,
  sendHighWater: 512 * 1024,
  keepAliveMillis: 0,
  keepAliveTimeoutMillis: 30_000,
  openTimeoutMillis: 75_000,
  openTimeoutAction: "reset",
  closeTimeoutMillis: 5 * 60_000,
  writeTimeoutMillis: 60_000,
  readTimeoutMillis: 5_000,
  lingerMillis: 5_000,
  resetBurst: 2_000,
  resetsPerSecond: 200,
  uselessFrameBurst: 200_000,
  uselessFramesPerSecond: 20_000,
  timers: systemTimers
}

/** Least and greatest value of each numeric option. */
const ranges: ReadonlyArray<
  readonly [Exclude<keyof SessionOptions, "timers" | "openTimeoutAction" | "firstStreamId">, number, number]
> = [
  ["maxStreams", 1, UINT32_MAX],
  ["acceptBacklog", 1, UINT32_MAX],
  ["maxFramePayload", 1024, 64 * 1024],
  ["initialWindow", INITIAL_WINDOW, UINT32_MAX],
  ["maxWindow", INITIAL_WINDOW, UINT32_MAX],
  ["sessionBudget", INITIAL_WINDOW, Number.MAX_SAFE_INTEGER],
  ["writeAhead", 1, UINT32_MAX],
  ["sendHighWater", 1, UINT32_MAX],
  ["keepAliveMillis", 0, UINT32_MAX],
  ["keepAliveTimeoutMillis", 1, UINT32_MAX],
  ["openTimeoutMillis", 1, UINT32_MAX],
  ["closeTimeoutMillis", 1, UINT32_MAX],
  ["writeTimeoutMillis", 1, UINT32_MAX],
  ["readTimeoutMillis", 1, UINT32_MAX],
  ["lingerMillis", 0, UINT32_MAX],
  ["resetBurst", 1, UINT32_MAX],
  ["resetsPerSecond", 0, UINT32_MAX],
  ["uselessFrameBurst", 1, UINT32_MAX],
  ["uselessFramesPerSecond", 0, UINT32_MAX]
]

/** What was resolved already: many sessions may share one object, and hold no copies of it. */
const resolved = new WeakSet<Partial<SessionOptions>>([defaultSessionOptions])

/** Fills in the defaults. What it answers may be given again, to every session. Throws `SessionError` "invalid_options". */
export const resolveSessionOptions = (given: Partial<SessionOptions> | undefined): SessionOptions => {
  if (given === undefined) return defaultSessionOptions
  // Only what was made here, hence whole, is in there.
  if (resolved.has(given)) return given as SessionOptions
  const options = { ...defaultSessionOptions, ...given }
  for (const [name, least, greatest] of ranges) {
    const value = options[name]
    if (!Number.isInteger(value) || value < least || value > greatest) {
      throw invalid(`${name} ${value} is not an integer from ${least} to ${greatest}`)
    }
  }
  if (options.maxWindow < options.initialWindow) {
    throw invalid(`maxWindow ${options.maxWindow} is less than initialWindow ${options.initialWindow}`)
  }
  resolved.add(options)
  return options
}

const invalid = (message: string): SessionError => new SessionError("invalid_options", message)
