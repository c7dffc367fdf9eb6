/** The native half of `ws`, which has no types of its own. */
declare module "bufferutil" {
  const bufferUtil: {
    /** Writes `length` bytes of `source`, masked from its first byte on, into `output` at `offset`. */
    readonly mask: (
      source: Uint8Array,
      mask: Uint8Array,
      output: Uint8Array,
      offset: number,
      length: number
    ) => void
    /** Unmasks in place. */
    readonly unmask: (buffer: Uint8Array, mask: Uint8Array) => void
  }
  export default bufferUtil
}
