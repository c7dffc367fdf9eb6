import { FrameType, GoAwayCode, HEADER_LENGTH, writeHeader } from "../Frame.ts"
import { SessionError } from "../YamuxError.ts"

/** What a session that ends says to its peer, and what is made of what the peer says. */
export interface SessionEnd {
  readonly goAway?: number
  readonly closeCode?: number
  readonly closeReason?: string
  /** The peer takes nothing: do not wait for it. */
  readonly terminate?: boolean
}

/** How a session tells its transport why it ended: the close codes of the tunnel protocol. */
export const CloseCode = {
  normal: 1000,
  heartbeatTimeout: 4008,
  protocolError: 4009,
  overLimit: 4013
} as const

/** The peer broke a rule, or went past a limit: says so, as far as it still listens. */
export const endByFault = (error: SessionError): SessionEnd => {
  const limit = error.code === "too_many_resets"
  return {
    goAway: GoAwayCode.protocolError,
    closeCode: limit ? CloseCode.overLimit : CloseCode.protocolError,
    closeReason: `${limit ? "over limit" : "protocol error"}: ${error.message}`
  }
}

export const goAwayFrame = (code: number): Buffer => {
  const frame = Buffer.allocUnsafe(HEADER_LENGTH)
  writeHeader(frame, 0, FrameType.goAway, 0, 0, code)
  return frame
}

export const violation = (message: string): SessionError => new SessionError("protocol_error", message)

export const closedError = (): SessionError => new SessionError("session_closed", "the session is closed")

/** From the reason in the peer's GoAway, which is not "normal". */
export const remoteError = (code: number): SessionError => {
  if (code === GoAwayCode.protocolError) {
    return new SessionError("remote_protocol_error", "the peer ended the session: protocol error")
  }
  if (code === GoAwayCode.internalError) {
    return new SessionError("remote_internal_error", "the peer ended the session: internal error")
  }
  return new SessionError("remote_unknown_error", `the peer ended the session: unknown reason ${code}`)
}

/** From the transport's end: `midFrame` if it cut a frame in two. */
export const transportError = (midFrame: boolean, cause: Error | undefined): SessionError =>
  withoutStack(() => transportErrorOf(midFrame, cause))

const transportErrorOf = (midFrame: boolean, cause: Error | undefined): SessionError => {
  if (midFrame) {
    return new SessionError("unexpected_end", "unexpected end: the transport closed inside a frame", {
      cause
    })
  }
  const message = cause === undefined ? "the transport closed" : `the transport closed: ${cause.message}`
  return new SessionError("transport_closed", message, { cause })
}

/** Where the event loop called us says nothing, and costs the most of a session's end: many may end at once. */
const withoutStack = <A>(make: () => A): A => {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
