import { assert, describe, it } from "@effect/vitest"
import { WebSocketReader } from "../../src/websocket/WebSocketReader.ts"
import { Random } from "@edge-relay/testkit/Random"

interface Frame {
  readonly first: number
  readonly payload: Buffer
}

/** A frame as a peer sends it; `key` masks it. */
const encode = ({ first, payload }: Frame, key?: Buffer): Buffer => {
  const bit = key === undefined ? 0 : 0x80
  const length =
    payload.length < 126
      ? [bit | payload.length]
      : payload.length < 65_536
        ? [bit | 126, payload.length >>> 8, payload.length & 255]
        : [
            bit | 127,
            0,
            0,
            0,
            0,
            payload.length >>> 24,
            (payload.length >>> 16) & 255,
            (payload.length >>> 8) & 255,
            payload.length & 255
          ]
  const masked = Buffer.from(payload.map((byte, index) => byte ^ (key?.[index % 4] ?? 0)))
  return Buffer.concat([Buffer.from([first, ...length]), key ?? Buffer.alloc(0), masked])
}

const read = (masked: boolean, chunks: ReadonlyArray<Buffer>) => {
  const payload: Array<Buffer> = []
  const control: Array<string> = []
  const invalid: Array<string> = []
  const reader = new WebSocketReader(masked, {
    onPayload: (chunk) => payload.push(Buffer.from(chunk)),
    onControl: (frame) => control.push(frame.toString("hex")),
    onInvalid: (message) => invalid.push(message)
  })
  for (const chunk of chunks) reader.push(Buffer.from(chunk))
  return { payload: Buffer.concat(payload).toString("hex"), control, invalid }
}

describe("WebSocketReader", () => {
  const random = new Random(6455)
  const key = Buffer.from([1, 2, 3, 4])

  it("gives out the same payload and control frames wherever the bytes are cut", () => {
    for (let round = 0; round < 300; round++) {
      const masked = round % 2 === 0
      const frames: Array<Frame> = []
      for (let n = 0; n < 8; n++) {
        const size = [0, 1, 3, 125, 126, 1_000, 65_535, 65_536][random.below(8)] ?? 0
        const kind = random.below(3)
        if (kind === 0)
          frames.push({ first: 0x89 + random.below(2), payload: random.bytes(random.below(126)) })
        else if (kind === 1) {
          frames.push({ first: 0x02, payload: random.bytes(size) })
          frames.push({ first: 0x8a, payload: random.bytes(3) })
          frames.push({ first: 0x80, payload: random.bytes(random.below(10)) })
        } else frames.push({ first: 0x82, payload: random.bytes(size) })
      }
      const encoded = frames.map((frame) => encode(frame, masked ? random.bytes(4) : undefined))
      const bytes = Buffer.concat(encoded)
      const isData = ({ first }: Frame): boolean => (first & 8) === 0
      const expected = {
        payload: Buffer.concat(frames.filter(isData).map((frame) => frame.payload)).toString("hex"),
        control: encoded
          .filter((_, n) => !isData(frames[n] ?? { first: 0, payload: bytes }))
          .map((frame) => frame.toString("hex")),
        invalid: []
      }
      const chunks: Array<Buffer> = []
      for (let offset = 0; offset < bytes.length;) {
        const size = 1 + random.below(random.below(2) === 0 ? 20 : 70_000)
        chunks.push(bytes.subarray(offset, offset + size))
        offset += size
      }
      assert.deepStrictEqual(read(masked, chunks), expected)
      if (bytes.length < 5_000) {
        assert.deepStrictEqual(
          read(
            masked,
            Array.from(bytes, (byte) => Buffer.from([byte]))
          ),
          expected
        )
      }
    }
  })

  it("refuses what RFC 6455 and the tunnel do not allow, and reads nothing after it", () => {
    const payload = Buffer.from("abc")
    const good = encode({ first: 0x82, payload }, key)
    const faults: ReadonlyArray<readonly [string, Buffer]> = [
      ["a reserved bit of a frame is set", encode({ first: 0xc2, payload }, key)],
      ["a client's frame is not masked", encode({ first: 0x82, payload })],
      ["a text message is not part of the protocol", encode({ first: 0x81, payload }, key)],
      ["a message begins in the middle", encode({ first: 0x80, payload }, key)],
      ["frame opcode 3 is unknown", encode({ first: 0x83, payload }, key)],
      ["frame opcode 11 is unknown", encode({ first: 0x8b, payload }, key)],
      ["a control frame is too long, or in parts", encode({ first: 0x89, payload: Buffer.alloc(126) }, key)],
      ["a control frame is too long, or in parts", encode({ first: 0x09, payload }, key)],
      ["a message begins inside another", Buffer.concat([encode({ first: 0x02, payload }, key), good])]
    ]
    for (const [message, bytes] of faults) {
      const result = read(true, [good, bytes, good])
      assert.deepStrictEqual(result.invalid, [message])
      assert.isTrue(result.payload.length <= 12)
    }
    assert.deepStrictEqual(read(false, [good]).invalid, ["a server's frame is masked"])
  })

  it("reads nothing after a close frame", () => {
    const close = encode({ first: 0x88, payload: Buffer.from([3, 232]) }, key)
    const result = read(true, [close, encode({ first: 0x82, payload: Buffer.from("late") }, key)])
    assert.deepStrictEqual(result, { payload: "", control: [close.toString("hex")], invalid: [] })
  })
})
