import { FrameType, HEADER_LENGTH, writeHeader } from "@edge-relay/yamux/Frame"

/** Frames as a peer would send them, and frames that we sent in a form that reads well. */

const flagBits = { SYN: 1, ACK: 2, FIN: 4, RST: 8 } as const
const typeNames = ["DATA", "WND", "PING", "GOAWAY"]

export type FlagName = keyof typeof flagBits

export const header = (type: number, flags: number, id: number, length: number, version = 0): Buffer => {
  const frame = Buffer.alloc(HEADER_LENGTH)
  writeHeader(frame, 0, type, flags, id, length)
  frame[0] = version
  return frame
}

const bits = (flags: ReadonlyArray<FlagName>): number => flags.reduce((sum, flag) => sum | flagBits[flag], 0)

/** A number as payload means that many bytes. */
export const data = (
  id: number,
  payload: string | Buffer | number,
  ...flags: ReadonlyArray<FlagName>
): Buffer => {
  const bytes = typeof payload === "number" ? Buffer.alloc(payload, 0x61) : Buffer.from(payload)
  return Buffer.concat([header(FrameType.data, bits(flags), id, bytes.length), bytes])
}

export const wnd = (id: number, delta: number, ...flags: ReadonlyArray<FlagName>): Buffer =>
  header(FrameType.windowUpdate, bits(flags), id, delta)

export const ping = (token: number, ...flags: ReadonlyArray<FlagName>): Buffer =>
  header(FrameType.ping, bits(flags), 0, token)

export const goAway = (code: number): Buffer => header(FrameType.goAway, 0, 0, code)

export interface ParsedFrame {
  readonly type: string
  readonly flags: string
  readonly id: number
  readonly length: number
  readonly payload: Buffer
}

export const parse = (bytes: Buffer): Array<ParsedFrame> => {
  const frames: Array<ParsedFrame> = []
  for (let offset = 0; offset < bytes.length;) {
    const type = typeNames[bytes.readUInt8(offset + 1)] ?? "?"
    const flags = bytes.readUInt16BE(offset + 2)
    const length = bytes.readUInt32BE(offset + 8)
    const names = Object.entries(flagBits).flatMap(([name, bit]) => ((flags & bit) === 0 ? [] : [name]))
    const end = offset + HEADER_LENGTH + (type === "DATA" ? length : 0)
    frames.push({
      type,
      flags: names.join("|"),
      id: bytes.readUInt32BE(offset + 4),
      length,
      payload: bytes.subarray(offset + HEADER_LENGTH, end)
    })
    offset = end
  }
  return frames
}

/** As "WND SYN 1 0": type, flags if any, stream, length. */
export const shown = (frame: ParsedFrame): string =>
  [frame.type, ...(frame.flags === "" ? [] : [frame.flags]), frame.id, frame.length].join(" ")

/** The `code` of an error, as the engine and Node give one. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined
