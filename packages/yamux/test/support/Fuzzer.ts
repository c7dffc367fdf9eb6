import assert from "node:assert/strict"
import { Session } from "../../src/Session.ts"
import { SessionError } from "../../src/YamuxError.ts"
import { MemoryTransport } from "./MemoryTransport.ts"
import type { Random } from "@edge-relay/testkit/Random"
import { turn } from "./Scripted.ts"
import { header } from "@edge-relay/testkit/yamux/Wire"

export interface FuzzResult {
  frames: number
  sessions: number
  /** How many sessions ended with each code. */
  readonly ends: Map<string, number>
}

const MAX_STREAMS = 64
const BUDGET = 2 * 1024 * 1024
const lengths = [
  0, 0, 1, 2, 100, 1_000, 65_536, 262_143, 262_144, 262_145, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff
]

/** A frame that a peer might send: mostly sensible, so that sessions live long enough to get into trouble. */
const frame = (random: Random, fresh: () => number): Buffer => {
  const kind = random.below(1_000)
  if (kind < 3) return header(3, 0, 0, random.below(4))
  if (kind < 50) return header(2, random.below(4), 0, random.below(0xffff_ffff))
  const type = random.below(2)
  const opening = kind < 150
  const id = kind > 990 ? random.below(0xffff_ffff) : opening ? fresh() : 1 + 2 * random.below(fresh() / 2)
  const flags = opening
    ? 1
    : kind < 800
      ? 0
      : kind < 850
        ? 2
        : kind < 870
          ? 4
          : kind < 900
            ? 8
            : random.below(16) & 10
  const length = random.below(300) === 0 ? (random.pick(lengths) ?? 0) : random.below(300)
  const head = header(type, flags, id, length)
  return type === 0 && length <= 70_000 ? Buffer.concat([head, Buffer.alloc(length, 1)]) : head
}

const mutate = (random: Random, bytes: Buffer): Buffer => {
  const kind = random.below(3_000)
  if (kind === 0) return bytes.subarray(0, random.below(bytes.length))
  if (kind === 1) return Buffer.concat([bytes, random.bytes(random.below(20))])
  if (kind < 4) bytes[random.below(bytes.length)] = random.below(256)
  else if (kind < 7) {
    const at = random.below(Math.min(12, bytes.length))
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at)
  }
  return bytes
}

/** An application that does a bit of everything with the streams it gets. */
const application = (random: Random, session: Session): void => {
  session.onStream = (stream) => {
    const mood = random.below(6)
    if (mood === 0) stream.pipe(stream)
    else if (mood === 1) stream.resume()
    else if (mood === 2) stream.once("data", () => stream.destroy())
    else if (mood === 3) stream.end("bye")
    else if (mood === 4) stream.write(Buffer.alloc(300_000))
  }
}

/** Feeds one session until it ends or has had enough. Throws what no session may do. */
const fuzzSession = async (random: Random, budget: number, result: FuzzResult): Promise<void> => {
  const transport = new MemoryTransport()
  const session = new Session("server", transport, { maxStreams: MAX_STREAMS, sessionBudget: BUDGET })
  const ends: Array<Error | undefined> = []
  session.onClose = (error) => ends.push(error)
  application(random, session)
  let nextId = 1
  const fresh = (): number => (nextId += 2)
  const length = Math.min(budget, 20 + random.below(2_000))
  for (let sent = 0; sent < length && !session.closed && !transport.paused;) {
    const frames = Array.from({ length: 1 + random.below(40) }, () => mutate(random, frame(random, fresh)))
    sent += frames.length
    result.frames += frames.length
    const bytes = Buffer.concat(frames)
    const cut = random.below(bytes.length)
    transport.onData(bytes.subarray(0, cut))
    transport.onData(bytes.subarray(cut))
    if (random.below(8) === 0 && !session.closed && !session.stats.streams)
      void session.ping().catch(() => {})
    if (random.below(4) === 0) await turn()
    assert.ok(session.stats.streams <= MAX_STREAMS)
    assert.ok(session.stats.unreadBytes <= BUDGET + bytes.length)
    transport.messages.splice(0)
  }
  if (!session.closed) transport.onClose()
  await turn()
  assert.equal(ends.length, 1)
  const [error] = ends
  assert.ok(error === undefined || error instanceof SessionError, String(error))
  assert.equal(session.stats.streams, 0)
  const code = error?.code ?? "orderly"
  result.ends.set(code, (result.ends.get(code) ?? 0) + 1)
  result.sessions++
}

/** Feeds so many mutated frames to as many sessions as it takes. */
export const fuzz = async (
  random: Random,
  frames: number,
  progress: (result: FuzzResult) => void = () => {}
): Promise<FuzzResult> => {
  const result: FuzzResult = { frames: 0, sessions: 0, ends: new Map() }
  while (result.frames < frames) {
    await fuzzSession(random, frames - result.frames, result)
    progress(result)
  }
  return result
}
