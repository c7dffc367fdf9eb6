/** Below this a chunk is copied into a shared one: a queued chunk costs 116 bytes of heap whatever it holds. */
const SMALL = 4 * 1024

/** The first shared chunk; each further one doubles, so that one waiting byte does not hold many. */
const FIRST_SLAB = 512
const LARGEST_SLAB = 16 * 1024

/**
 * Bytes that wait for a reader, in order. Its memory is proportional to the bytes in it: small chunks are
 * merged, and a view of a much larger buffer is copied out of it, so as not to pin that.
 */
export class ChunkQueue {
  #chunks: Array<Buffer> = []
  #slab: Buffer | undefined = undefined
  #slabUsed = 0
  #length = 0

  /** In bytes. */
  get length(): number {
    return this.#length
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#length += chunk.length
    if (chunk.length >= SMALL) {
      this.#seal()
      this.#chunks.push(unpinned(chunk))
      return
    }
    let offset = 0
    while (offset < chunk.length) {
      if (this.#slab === undefined || this.#slabUsed === this.#slab.length) this.#grow()
      const slab = this.#slab
      if (slab === undefined) return
      const copied = chunk.copy(slab, this.#slabUsed, offset)
      this.#slabUsed += copied
      offset += copied
    }
  }

  shift(): Buffer | undefined {
    if (this.#chunks.length === 0) this.#seal()
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) this.#length -= chunk.length
    return chunk
  }

  #grow(): void {
    const size = this.#slab === undefined ? FIRST_SLAB : Math.min(this.#slab.length * 2, LARGEST_SLAB)
    this.#seal()
    this.#slab = Buffer.allocUnsafeSlow(size)
  }

  #seal(): void {
    if (this.#slab !== undefined) this.#chunks.push(this.#slab.subarray(0, this.#slabUsed))
    this.#slab = undefined
    this.#slabUsed = 0
  }
}

/** The chunk itself, or a copy where keeping it would keep more than twice its size. */
export const unpinned = (chunk: Buffer): Buffer =>
  chunk.length * 2 < chunk.buffer.byteLength ? Buffer.from(chunk) : chunk
