import { createHash } from "node:crypto"
import { once } from "node:events"
import { assert } from "@effect/vitest"
import type { Session } from "../../../src/Session.ts"
import type { Stream } from "../../../src/Stream.ts"
import { Random } from "@edge-relay/testkit/Random"

/**
 * What the two ends of an interop test do with streams: our half of the protocol in go/main.go, where a
 * stream's first byte says what its acceptor is to do.
 */

/** Bytes for a bulk transfer: small enough for a plain run, a gibibyte and more where the environment says so. */
export const bulkBytes = Number(process.env["INTEROP_BYTES"] ?? 64 * 1024 * 1024)

const block = new Random(97).bytes(64 * 1024)

/** Writes so many bytes and answers their SHA-256. */
const send = async (stream: Stream, length: number): Promise<Buffer> => {
  const hash = createHash("sha256")
  for (let sent = 0; sent < length; sent += block.length) {
    const chunk = Buffer.from(block.subarray(0, Math.min(block.length, length - sent)))
    chunk.writeDoubleBE(sent, 0)
    hash.update(chunk)
    if (!stream.write(chunk)) await once(stream, "drain")
  }
  return hash.digest()
}

const readAll = async (stream: Stream): Promise<Buffer> => Buffer.concat(await stream.toArray())

/** Answers a stream of the peer. */
export const respond = (stream: Stream): void => {
  stream.once("readable", () => {
    const command = stream.read(1)?.toString()
    if (command === "e") stream.pipe(stream)
    else if (command === "h") void digest(stream)
    else if (command === "s") void serve(stream)
    else stream.destroy()
  })
}

const digest = async (stream: Stream): Promise<void> => {
  const hash = createHash("sha256")
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) hash.update(chunk)
  stream.end(hash.digest("hex"))
}

const serve = async (stream: Stream): Promise<void> => {
  let length = stream.read(8)
  while (length === null) {
    await once(stream, "readable")
    length = stream.read(8)
  }
  stream.end(await send(stream, Number(length.readBigUInt64BE())))
  stream.resume()
}

/** Streams at once, each with its own random bytes, half-closed before they come back. */
export const echoAtOnce = async (session: Session, count: number, limit: number): Promise<void> => {
  const random = new Random(count)
  await Promise.all(
    Array.from({ length: count }, async () => {
      const stream = session.open()
      const payload = Buffer.alloc(random.below(limit), random.bytes(101))
      stream.write("e")
      stream.end(payload)
      const echoed = await readAll(stream)
      assert.strictEqual(echoed.length, payload.length, `stream ${stream.id}`)
      assert.isTrue(echoed.equals(payload), `stream ${stream.id}`)
    })
  )
}

/** The peer answers with the hash of what it got. */
export const upload = async (session: Session, length: number, command = "h"): Promise<void> => {
  const stream = session.open()
  stream.write(command)
  const sent = await send(stream, length)
  stream.end()
  assert.strictEqual((await readAll(stream)).toString(), sent.toString("hex"))
}

/** The peer sends bytes, and their hash after them. */
export const download = async (session: Session, length: number): Promise<void> => {
  const stream = session.open()
  const request = Buffer.alloc(9, "s")
  request.writeBigUInt64BE(BigInt(length), 1)
  stream.write(request)
  const hash = createHash("sha256")
  let received = 0
  let sum = Buffer.alloc(0)
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    const payload = chunk.subarray(0, Math.max(0, length - received))
    hash.update(payload)
    received += chunk.length
    sum = Buffer.concat([sum, chunk.subarray(payload.length)])
  }
  stream.end()
  assert.strictEqual(received, length + 32)
  assert.strictEqual(sum.toString("hex"), hash.digest("hex"))
}

/** A reader of ours that stops gets no more than its window, and the rest once it goes on. */
export const downloadSlowly = async (session: Session): Promise<void> => {
  const stream = session.open()
  const length = 1_000_000
  const request = Buffer.alloc(9, "s")
  request.writeBigUInt64BE(BigInt(length), 1)
  stream.write(request)
  while (session.stats.unreadBytes < 262_144) await new Promise((resolve) => setTimeout(resolve, 10))
  await session.ping()
  assert.strictEqual(session.stats.unreadBytes, 262_144)
  const all = await readAll(stream)
  stream.end()
  const payload = all.subarray(0, length)
  assert.strictEqual(createHash("sha256").update(payload).digest("hex"), all.subarray(length).toString("hex"))
}

/** Our reset, as the peer's application sees it. */
export const resetSeen = async (session: Session): Promise<string> => {
  const stream = session.open()
  stream.write("r and something")
  // The peer reads on: its reset is not lost on a stream whose command nobody has read yet.
  await once(stream, "readable")
  stream.destroy()
  for (;;) {
    const question = session.open()
    question.end("q")
    const answer = (await readAll(question)).toString()
    if (answer !== "<nil>" && answer !== "") return answer
  }
}
