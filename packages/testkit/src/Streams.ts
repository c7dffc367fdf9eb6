import type { Duplex, Readable } from "node:stream"

/** Everything until the end; rejects where it breaks off. Leaves the other direction open. */
export const readAll = (stream: Readable): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Array<Buffer> = []
    stream.on("data", (chunk: Buffer) => chunks.push(chunk))
    stream.on("end", () => resolve(Buffer.concat(chunks)))
    stream.on("error", reject)
    stream.on("close", () => reject(new Error("closed before its end")))
  })

/** Exactly so many bytes. */
export const readExactly = (stream: Readable, size: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const onReadable = () => {
      const chunk: Buffer | null = size === 0 ? Buffer.alloc(0) : stream.read(size)
      if (chunk === null || chunk.length < size) return
      stream.off("readable", onReadable)
      resolve(chunk)
    }
    stream.on("readable", onReadable)
    stream.once("close", () => reject(new Error("closed")))
    onReadable()
  })

export const closed = (stream: Duplex): Promise<{ readonly error: NodeJS.ErrnoException | undefined }> =>
  new Promise((resolve) => {
    let error: NodeJS.ErrnoException | undefined
    stream.once("error", (cause) => {
      error = cause
    })
    if (stream.destroyed) resolve({ error: stream.errored ?? undefined })
    else stream.once("close", () => resolve({ error }))
  })
