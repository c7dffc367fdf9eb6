import { randomFillSync } from "node:crypto"
import type { Socket } from "node:net"
import bufferUtil from "bufferutil"

/**
 * Writes binary WebSocket messages (RFC 6455 section 5.2) to the socket of a WebSocket that is open, as `ws`
 * would, but of two parts and without an allocation for each: a masked message is made in a buffer that is
 * used again once the socket has written it, an unmasked one is not copied at all.
 */

const FIN_BINARY = 0x82
const MASKED = 0x80

/** The longest frame header: two bytes, eight of length, four of mask. */
const HEADER = 14

/** Buffers for masked messages, of all WebSockets of the process; more than these are left to the collector. */
const POOLED_SIZE = 24 * 1024
const POOLED_COUNT = 64
const pool: Array<Buffer> = []

/** Masking keys, drawn many at a time: each has to be unpredictable (section 10.3). */
const keys = Buffer.allocUnsafeSlow(4096)
let keyAt = keys.length

const nextKey = (): Buffer => {
  if (keyAt === keys.length) {
    randomFillSync(keys)
    keyAt = 0
  }
  keyAt += 4
  return keys.subarray(keyAt - 4, keyAt)
}

const writeHead = (target: Buffer, length: number, maskBit: number): number => {
  target[0] = FIN_BINARY
  if (length < 126) {
    target[1] = maskBit | length
    return 2
  }
  if (length < 65_536) {
    target[1] = maskBit | 126
    target.writeUInt16BE(length, 2)
    return 4
  }
  target[1] = maskBit | 127
  target.writeUInt32BE(0, 2)
  target.writeUInt32BE(length, 6)
  return 10
}

/** Up to this length a message is copied beside its header: one buffer costs less to write than two. */
const SHORT = 4 * 1024

/** The message is the caller's no more. */
export const writeWhole = (
  socket: Socket,
  message: Uint8Array,
  masked: boolean,
  written: () => void
): void => {
  if (masked) {
    if (message.length > SHORT) return writeMasked(socket, message, NOTHING, written)
    const buffer = Buffer.allocUnsafe(HEADER + message.length)
    const key = nextKey()
    const offset = writeHead(buffer, message.length, MASKED)
    buffer.set(key, offset)
    bufferUtil.mask(message, key, buffer, offset + 4, message.length)
    socket.write(buffer.subarray(0, offset + 4 + message.length), written)
    return
  }
  if (message.length > SHORT) return writeUnmasked(socket, NOTHING, message, written)
  const buffer = Buffer.allocUnsafe(HEADER + message.length)
  const offset = writeHead(buffer, message.length, 0)
  buffer.set(message, offset)
  socket.write(buffer.subarray(0, offset + message.length), written)
}

const NOTHING = Buffer.alloc(0)

/** `first` is copied, `second` is the caller's again once `written` was called. */
export const writeUnmasked = (
  socket: Socket,
  first: Uint8Array,
  second: Uint8Array,
  written: () => void
): void => {
  const head = Buffer.allocUnsafe(HEADER + first.length)
  const offset = writeHead(head, first.length + second.length, 0)
  head.set(first, offset)
  socket.cork()
  socket.write(head.subarray(0, offset + first.length))
  socket.write(second, written)
  socket.uncork()
}

/** Both are the caller's again on return. */
export const writeMasked = (
  socket: Socket,
  first: Uint8Array,
  second: Uint8Array,
  written: () => void
): void => {
  const length = first.length + second.length
  const pooled = length + HEADER <= POOLED_SIZE
  const buffer =
    (pooled ? pool.pop() : undefined) ?? Buffer.allocUnsafeSlow(pooled ? POOLED_SIZE : length + HEADER)
  const key = nextKey()
  const offset = writeHead(buffer, length, MASKED)
  buffer.set(key, offset)
  bufferUtil.mask(first, key, buffer, offset + 4, first.length)
  // The mask goes on where the first part has left it.
  const turned = first.length % 4 === 0 ? key : turn(key, first.length % 4)
  bufferUtil.mask(second, turned, buffer, offset + 4 + first.length, second.length)
  socket.write(buffer.subarray(0, offset + 4 + length), () => {
    if (pooled && pool.length < POOLED_COUNT) pool.push(buffer)
    written()
  })
}

const turn = (key: Buffer, by: number): Buffer => Buffer.concat([key.subarray(by), key.subarray(0, by)])
