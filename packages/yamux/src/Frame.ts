/**
 * The yamux frame header: 12 bytes, big-endian.
 *
 *     0        1        2 .. 3    4 .. 7      8 .. 11
 *     version  type     flags     stream id   length
 *
 * DATA carries `length` bytes of payload; in every other type `length` is a value
 * (a window's growth, a ping's token, a reason) and no payload follows.
 * https://github.com/hashicorp/yamux/blob/master/spec.md
 */
export const HEADER_LENGTH = 12

export const VERSION = 0

export const FrameType = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const

export const Flag = { syn: 1, ack: 2, fin: 4, rst: 8 } as const

export const GoAwayCode = { normal: 0, protocolError: 1, internalError: 2 } as const

/** What either side may send on a new stream before it hears of more: 256 KiB, fixed by the protocol. */
export const INITIAL_WINDOW = 262_144

/** The largest stream id, ping token or window: all are unsigned 32-bit numbers. */
export const UINT32_MAX = 0xffff_ffff

/** Writes one header at `offset`; answers the offset after it. */
export const writeHeader = (
  target: Uint8Array,
  offset: number,
  type: number,
  flags: number,
  streamId: number,
  length: number
): number => {
  target[offset] = VERSION
  target[offset + 1] = type
  target[offset + 2] = flags >>> 8
  target[offset + 3] = flags
  target[offset + 4] = streamId >>> 24
  target[offset + 5] = streamId >>> 16
  target[offset + 6] = streamId >>> 8
  target[offset + 7] = streamId
  target[offset + 8] = length >>> 24
  target[offset + 9] = length >>> 16
  target[offset + 10] = length >>> 8
  target[offset + 11] = length
  return offset + HEADER_LENGTH
}
