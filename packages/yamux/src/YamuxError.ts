export type YamuxErrorCode =
  /** The peer broke the protocol; the session is over. */
  | "protocol_error"
  /** The peer says that we broke the protocol (GoAway 1). */
  | "remote_protocol_error"
  /** The peer ended the session by a fault of its own (GoAway 2). */
  | "remote_internal_error"
  /** GoAway with a reason that the protocol does not name. */
  | "remote_unknown_error"
  /** The peer opened and reset streams, or asked for refused ones, faster than allowed. */
  | "too_many_resets"
  /** The peer sent more frames that move nothing than allowed. */
  | "too_many_useless_frames"
  /** The transport ended in the middle of a frame. */
  | "unexpected_end"
  /** The transport ended. */
  | "transport_closed"
  | "keepalive_timeout"
  | "write_timeout"
  | "ping_timeout"
  | "open_timeout"
  | "close_timeout"
  /** The session's memory was full and this stream's reader held the most of it. */
  | "read_timeout"
  | "session_closed"
  | "remote_going_away"
  | "streams_exhausted"
  | "too_many_streams"
  | "invalid_options"
  /** A stream was destroyed at this end with writes pending. */
  | "stream_destroyed"
  /** The application's `onStream` threw. */
  | "handler_failed"
  /** The peer reset the stream: the code that Node's own sockets use. */
  | "ECONNRESET"

/** Anything that goes wrong in the multiplexer. `code` is stable, `message` is for people. */
export class YamuxError extends Error {
  readonly code: YamuxErrorCode

  constructor(code: YamuxErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** A fault of the session as a whole, or a stream that it could not open. */
export class SessionError extends YamuxError {}
