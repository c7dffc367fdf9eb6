/**
 * Y55 at its full size, over a real WebSocket: 250 MiB on one stream, then 16 streams of 1 GiB at once, read 4 KiB
 * at a time, each byte looked at.
 *
 *     node packages/yamux/test/volume.ts [MiB of the one] [streams] [MiB of each]
 */
import { randomBytes } from "node:crypto"
import { finished } from "node:stream/promises"
import { performance } from "node:perf_hooks"
import type { Session } from "../src/Session.ts"
import type { Stream } from "../src/Stream.ts"
import { dial, listen } from "./interop/support/Sockets.ts"

const [one = 250, streams = 16, each = 1024] = process.argv.slice(2).map(Number)

const MIB = 1024 * 1024
const WRITE = 64 * 1024
const READ = 4 * 1024

/** What is sent repeats after a prime number of bytes, so that a frame out of place shows. */
const PERIOD = 1_048_573
const period = randomBytes(PERIOD)
const pattern = Buffer.concat([period, period.subarray(0, WRITE)])

/** Each stream begins elsewhere in the pattern: another stream's bytes show too. */
const startOf = (id: number): number => (id * 7919) % PERIOD

const send = async (stream: Stream, total: number): Promise<void> => {
  for (let sent = 0; sent < total; sent += WRITE) {
    const at = (startOf(stream.id) + sent) % PERIOD
    const chunk = pattern.subarray(at, at + Math.min(WRITE, total - sent))
    if (!stream.write(chunk)) await new Promise((resolve) => stream.once("drain", resolve))
  }
  stream.end()
  await finished(stream, { readable: false })
}

/** Answers how many bytes came, once the stream has ended. */
const check = (stream: Stream): Promise<number> =>
  new Promise((resolve, reject) => {
    let received = 0
    const take = (chunk: Buffer): void => {
      const at = (startOf(stream.id) + received) % PERIOD
      if (!chunk.equals(pattern.subarray(at, at + chunk.length))) {
        reject(new Error(`stream ${stream.id} is wrong within ${chunk.length} bytes from ${received}`))
        stream.destroy()
      }
      received += chunk.length
    }
    stream.on("readable", () => {
      for (let chunk = stream.read(READ); chunk !== null; chunk = stream.read(READ)) take(chunk)
      // The rest, shorter than a read, is there once the end is known.
      const rest = stream.readableLength < READ ? stream.read() : null
      if (rest !== null) take(rest)
    })
    stream.on("end", () => resolve(received))
    stream.on("error", reject)
    stream.end()
  })

const carry = async (client: Session, server: Session, count: number, mebibytes: number): Promise<void> => {
  const total = mebibytes * MIB
  const checked: Array<Promise<number>> = []
  server.onStream = (stream) => checked.push(check(stream))
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: count }, () => send(client.open(), total)))
  const received = await Promise.all(checked)
  const wrong = received.filter((bytes) => bytes !== total)
  if (received.length !== count || wrong.length > 0) {
    throw new Error(
      `${received.length} of ${count} streams, of these ${wrong.length} with other than ${total} bytes`
    )
  }
  const seconds = (performance.now() - startedAt) / 1000
  const rate = ((total * count) / 1e6 / seconds).toFixed(0)
  console.log(`Y55 ${count} × ${mebibytes} MiB: every byte right, in ${seconds.toFixed(1)} s (${rate} MB/s)`)
}

const listening = await listen()
const accepting = listening.session("server")
const client = await dial("client", listening.url)
const server = await accepting
try {
  await carry(client, server, 1, one)
  await carry(client, server, streams, each)
  const left = client.stats.streams + server.stats.streams
  if (left > 0) throw new Error(`${left} streams are left`)
  console.log(`resident memory at the end: ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB`)
} finally {
  await client.close()
  listening.close()
}
