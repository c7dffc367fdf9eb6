/**
 * A baseline JPEG encoder (ITU-T T.81): 8 bits, three components, chroma halved both ways, the tables of Annex K.
 * Enough to draw camera frames with no native code; a 640 × 360 frame takes some milliseconds.
 */

/** Pixels, row by row, three bytes each. */
export interface Pixels {
  readonly width: number
  readonly height: number
  readonly rgb: Uint8Array
}

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"))

// Order in which the 64 coefficients of a block are written, T.81 figure A.6.
const zigzag = bytesOf(
  "000108100902030a11182019120b04050c131a21283029221b140d06070e151c" +
    "232a313839322b241d160f171e252c333a3b342d261f272e353c3d362f373e3f"
)

// Quantisation at quality 50, T.81 tables K.1 and K.2, in natural order.
const luminance = bytesOf(
  "100b0a101828333d0c0c0e131a3a3c370e0d1018283945380e11161d3357503e" +
    "12162538446d674d182337405168715c31404e5767797865485c5f6270646763"
)
const chrominance = Uint8Array.from({ length: 64 }, (_, at) => {
  const corner = [
    [17, 18, 24, 47],
    [18, 21, 26, 66],
    [24, 26, 56, 99],
    [47, 66, 99, 99]
  ]
  return corner[at >> 3]?.[at & 7] ?? 99
})

interface HuffmanTable {
  /** How many codes there are of 1 to 16 bits. */
  readonly counts: Uint8Array
  readonly symbols: Uint8Array
}

// T.81 tables K.3 to K.6.
const directCurrent: ReadonlyArray<HuffmanTable> = [
  { counts: bytesOf("00010501010101010100000000000000"), symbols: bytesOf("000102030405060708090a0b") },
  { counts: bytesOf("00030101010101010101010000000000"), symbols: bytesOf("000102030405060708090a0b") }
]
const alternatingCurrent: ReadonlyArray<HuffmanTable> = [
  {
    counts: bytesOf("0002010303020403050504040000017d"),
    symbols: bytesOf(
      "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435" +
        "363738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798" +
        "999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4" +
        "f5f6f7f8f9fa"
    )
  },
  {
    counts: bytesOf("00020102040403040705040400010277"),
    symbols: bytesOf(
      "0001020311040521310612415107617113223281081442" +
        "91a1b1c109233352f0156272d10a162434e125f11718191a262728292a35" +
        "363738393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a929394959697" +
        "98999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5" +
        "f6f7f8f9fa"
    )
  }
]

/** Code and length in one number: `code << 5 | length`, by symbol (T.81 annex C). */
const codesOf = (table: HuffmanTable): Uint32Array => {
  const codes = new Uint32Array(256)
  let code = 0
  let next = 0
  table.counts.forEach((count, at) => {
    for (let i = 0; i < count; i++) {
      codes[table.symbols[next++] ?? 0] = (code++ << 5) | (at + 1)
    }
    code <<= 1
  })
  return codes
}

const dcCodes = directCurrent.map(codesOf)
const acCodes = alternatingCurrent.map(codesOf)

// cos((2x + 1)uπ/16)/2, with the 1/√2 of u = 0 worked in: an orthonormal one-dimensional DCT.
const cosines = Float32Array.from({ length: 64 }, (_, at) => {
  const u = at >> 3
  const x = at & 7
  return Math.cos(((2 * x + 1) * u * Math.PI) / 16) * (u === 0 ? Math.SQRT1_2 : 1) * 0.5
})

class BitWriter {
  private bytes = new Uint8Array(64 * 1024)
  private length = 0
  private held = 0
  private heldBits = 0

  byte(value: number) {
    if (this.length === this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2)
      larger.set(this.bytes)
      this.bytes = larger
    }
    this.bytes[this.length++] = value
  }

  segment(marker: number, payload: ReadonlyArray<number>) {
    const size = payload.length + 2
    for (const value of [0xff, marker, size >> 8, size & 255, ...payload]) this.byte(value)
  }

  bits(value: number, count: number) {
    this.held = (this.held << count) | (value & ((1 << count) - 1))
    this.heldBits += count
    while (this.heldBits >= 8) {
      const value = (this.held >> (this.heldBits - 8)) & 255
      this.byte(value)
      // T.81 B.1.1.5: a zero after 0xFF keeps entropy-coded data from looking like a marker.
      if (value === 0xff) this.byte(0)
      this.heldBits -= 8
    }
    this.held &= (1 << this.heldBits) - 1
  }

  code(codes: Uint32Array | undefined, symbol: number) {
    const entry = codes?.[symbol] ?? 0
    this.bits(entry >> 5, entry & 31)
  }

  flush() {
    if (this.heldBits > 0) this.bits(127, 8 - this.heldBits)
  }

  result(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }
}

/** Encodes a picture; `quality` from 1 to 100, as libjpeg counts. */
export const encodeJpeg = (pixels: Pixels, quality = 70): Uint8Array => {
  const scale = quality < 50 ? 5000 / quality : 200 - quality * 2
  const quantisers = [luminance, chrominance].map((table) =>
    table.map((value) => Math.min(255, Math.max(1, Math.floor((value * scale + 50) / 100))))
  )
  const out = new BitWriter()
  out.byte(0xff)
  out.byte(0xd8)
  out.segment(0xe0, [0x4a, 0x46, 0x49, 0x46, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0])
  quantisers.forEach((table, id) => out.segment(0xdb, [id, ...zigzag.map((at) => table[at] ?? 1)]))
  const { width, height } = pixels
  const size = [height >> 8, height & 255, width >> 8, width & 255]
  out.segment(0xc0, [8, ...size, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
  directCurrent.forEach((table, id) => out.segment(0xc4, [id, ...table.counts, ...table.symbols]))
  alternatingCurrent.forEach((table, id) => out.segment(0xc4, [16 | id, ...table.counts, ...table.symbols]))
  out.segment(0xda, [3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0])

  const blocks = Array.from({ length: 6 }, () => new Float32Array(64))
  const previous = [0, 0, 0]
  for (let top = 0; top < height; top += 16) {
    for (let left = 0; left < width; left += 16) {
      readUnit(pixels, left, top, blocks)
      blocks.forEach((block, at) => {
        const component = at < 4 ? 0 : at - 3
        const table = component === 0 ? 0 : 1
        previous[component] = writeBlock(out, block, quantisers[table], table, previous[component] ?? 0)
      })
    }
  }
  out.flush()
  out.byte(0xff)
  out.byte(0xd9)
  return out.result()
}

/** One unit of 16 × 16 pixels: four blocks of luminance, one of each chrominance; edges are repeated outwards. */
const readUnit = (pixels: Pixels, left: number, top: number, blocks: ReadonlyArray<Float32Array>) => {
  const [blue, red] = [blocks[4], blocks[5]]
  if (blue === undefined || red === undefined) return
  blue.fill(0)
  red.fill(0)
  for (let y = 0; y < 16; y++) {
    const row = Math.min(pixels.height - 1, top + y) * pixels.width
    for (let x = 0; x < 16; x++) {
      const at = (row + Math.min(pixels.width - 1, left + x)) * 3
      const [r, g, b] = [pixels.rgb[at] ?? 0, pixels.rgb[at + 1] ?? 0, pixels.rgb[at + 2] ?? 0]
      const luma = blocks[(y >> 3) * 2 + (x >> 3)]
      if (luma !== undefined) luma[(y & 7) * 8 + (x & 7)] = 0.299 * r + 0.587 * g + 0.114 * b - 128
      const chroma = (y >> 1) * 8 + (x >> 1)
      blue[chroma] = (blue[chroma] ?? 0) + (-0.1687 * r - 0.3313 * g + 0.5 * b) / 4
      red[chroma] = (red[chroma] ?? 0) + (0.5 * r - 0.4187 * g - 0.0813 * b) / 4
    }
  }
}

const half = new Float32Array(64)

/** Transforms `block` in place: rows, then columns. A flat block, the most common here, needs no arithmetic. */
const transform = (block: Float32Array) => {
  const first = block[0] ?? 0
  if (block.every((value) => value === first)) {
    block.fill(0)
    block[0] = first * 8
    return
  }
  for (let y = 0; y < 64; y += 8) {
    for (let u = 0; u < 8; u++) {
      let sum = 0
      for (let x = 0; x < 8; x++) sum += (block[y + x] ?? 0) * (cosines[u * 8 + x] ?? 0)
      half[y + u] = sum
    }
  }
  for (let u = 0; u < 8; u++) {
    for (let v = 0; v < 8; v++) {
      let sum = 0
      for (let y = 0; y < 8; y++) sum += (half[y * 8 + u] ?? 0) * (cosines[v * 8 + y] ?? 0)
      block[v * 8 + u] = sum
    }
  }
}

/** Writes one block and gives its DC value, which the next of its component is told relative to. */
const writeBlock = (
  out: BitWriter,
  block: Float32Array,
  quantiser: Uint8Array | undefined,
  table: number,
  previous: number
): number => {
  transform(block)
  const level = (at: number) => {
    const natural = zigzag[at] ?? 0
    return Math.round((block[natural] ?? 0) / (quantiser?.[natural] ?? 1))
  }
  const direct = level(0)
  writeValue(out, dcCodes[table], 0, direct - previous)
  let zeros = 0
  for (let at = 1; at < 64; at++) {
    const value = level(at)
    if (value === 0) {
      zeros++
      continue
    }
    // T.81 F.1.2.2: 0xF0 stands for sixteen zeros.
    for (; zeros > 15; zeros -= 16) out.code(acCodes[table], 0xf0)
    writeValue(out, acCodes[table], zeros << 4, value)
    zeros = 0
  }
  if (zeros > 0) out.code(acCodes[table], 0)
  return direct
}

const writeValue = (out: BitWriter, codes: Uint32Array | undefined, run: number, value: number) => {
  const size = 32 - Math.clz32(Math.abs(value))
  out.code(codes, run | size)
  if (size > 0) out.bits(value < 0 ? value - 1 : value, size)
}
