/** What a session has done so far, both ways. */
export interface SessionStats {
  /** Open now, of both ends. */
  readonly streams: number
  readonly streamsOpened: number
  readonly streamsAccepted: number
  /** Payload of DATA frames. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** All that went over the transport, headers included. */
  readonly wireBytesIn: number
  readonly wireBytesOut: number
  readonly framesIn: number
  readonly framesOut: number
  /** Received and not yet read by the application. */
  readonly unreadBytes: number
  /** By pings, in milliseconds; undefined before the first. */
  readonly roundTripMillis: number | undefined
}
