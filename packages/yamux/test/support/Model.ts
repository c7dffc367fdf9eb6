import { codeOf } from "@edge-relay/testkit/yamux/Wire"
import { assert } from "@effect/vitest"
import type { Session } from "../../src/Session.ts"
import type { Stream } from "../../src/Stream.ts"
import type { Random } from "@edge-relay/testkit/Random"
import { turn } from "./Scripted.ts"

/** The byte at an offset of what one end writes to one stream: any loss, repetition or mix-up shows. */
const byteAt = (key: number, offset: number): number => (offset * 31 + (offset >>> 8) * 17 + key * 101) & 255

/** One end of one stream, and what the model knows of it. */
export class End {
  readonly stream: Stream
  readonly #key: number
  readonly #peerKey: number
  written = 0
  received = 0
  ended = false
  /** This end has destroyed it. */
  destroyed = false
  sawEnd = false
  closed = false
  error: string | undefined = undefined

  constructor(stream: Stream, side: number) {
    this.stream = stream
    this.#key = stream.id * 2 + side
    this.#peerKey = stream.id * 2 + (1 - side)
    stream.on("data", (chunk: Buffer) => this.#check(chunk))
    stream.on("end", () => (this.sawEnd = true))
    stream.on("error", (error) => (this.error = codeOf(error) ?? String(error)))
    stream.on("close", () => (this.closed = true))
  }

  #check(chunk: Buffer): void {
    assert.isFalse(this.sawEnd, "data after the end")
    for (const byte of chunk) {
      if (byte !== byteAt(this.#peerKey, this.received++)) {
        assert.fail(`stream ${this.stream.id} differs at byte ${this.received - 1}`)
      }
    }
  }

  get writable(): boolean {
    return !this.ended && !this.destroyed && !this.closed && this.stream.writableLength < 400_000
  }

  write(length: number): void {
    const chunk = Buffer.allocUnsafe(length)
    for (let index = 0; index < length; index++) chunk[index] = byteAt(this.#key, this.written++)
    this.stream.write(chunk)
  }

  end(): void {
    this.ended = true
    this.stream.end()
  }

  destroy(): void {
    this.destroyed = true
    this.stream.destroy()
  }
}

/** Both ends of a session pair, doing random things, and what must be true after it. */
export class Model {
  readonly #random: Random
  readonly #sessions: readonly [Session, Session]
  /** The ends of each stream by its id, the client's first. */
  readonly #streams = new Map<number, Array<End>>()
  readonly #ends: readonly [Array<End>, Array<End>] = [[], []]

  constructor(random: Random, sessions: readonly [Session, Session]) {
    this.#random = random
    this.#sessions = sessions
    sessions.forEach((session, side) => {
      session.onStream = (stream) => this.#add(stream, side)
    })
  }

  #add(stream: Stream, side: number): void {
    const end = new End(stream, side)
    const ends = this.#streams.get(stream.id) ?? []
    ends[side] = end
    this.#streams.set(stream.id, ends)
    this.#ends[side]?.push(end)
  }

  #step(): void {
    const random = this.#random
    const side = random.below(2)
    const action = random.below(100)
    const session = this.#sessions[side]
    const live = this.#ends[side]?.filter((end) => !end.closed) ?? []
    const end = random.pick(live)
    if (session === undefined) return
    if (action < 12 || end === undefined) {
      if (session.stats.streams < 40) this.#add(session.open(), side)
    } else if (action < 60) {
      if (end.writable) end.write(random.below(random.below(3) === 0 ? 200_000 : 2_000))
    } else if (action < 70) end.stream.pause()
    else if (action < 82) end.stream.resume()
    else if (action < 90) {
      if (!end.ended && !end.destroyed) end.end()
    } else if (action < 93) end.destroy()
    else if (action < 96) void session.ping().catch(() => {})
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.#step()
      if (this.#random.below(3) === 0) await turn()
    }
    for (let round = 0; round < 50_000 && !this.#settled(); round++) {
      for (const ends of this.#ends) {
        for (const end of ends) {
          if (end.closed) continue
          end.stream.resume()
          if (!end.ended && !end.destroyed) end.end()
        }
      }
      await turn()
    }
  }

  /** Every stream is closed, and no frame is on its way. */
  #settled(): boolean {
    if (!this.#ends.every((ends) => ends.every((end) => end.closed))) return false
    const [left, right] = [this.#sessions[0].stats, this.#sessions[1].stats]
    return left.wireBytesOut === right.wireBytesIn && right.wireBytesOut === left.wireBytesIn
  }

  /** Every byte once and in order was checked on arrival; here, how each stream ended. */
  verify(): void {
    for (const [id, [first, second]] of this.#streams) {
      if (first === undefined || second === undefined) {
        // Opened, and given up before its SYN had to be sent.
        assert.isTrue((first ?? second)?.destroyed, `stream ${id} never reached the other end`)
        continue
      }
      for (const [mine, other] of [
        [first, second],
        [second, first]
      ] as const) {
        assert.isTrue(mine.closed, `stream ${id} is still open`)
        if (!first.destroyed && !second.destroyed) {
          assert.isUndefined(mine.error, `stream ${id}`)
          assert.isTrue(mine.sawEnd, `stream ${id} saw no end`)
          assert.strictEqual(mine.received, other.written, `stream ${id}`)
        } else if (!mine.destroyed) {
          // Reset by the other end, unless both sides had ended before that.
          assert.isTrue(
            mine.error === "ECONNRESET" || (mine.error === undefined && mine.sawEnd),
            `stream ${id}`
          )
          if (mine.sawEnd) assert.strictEqual(mine.received, other.written, `stream ${id}`)
        }
        assert.isAtMost(mine.received, other.written)
      }
    }
    for (const session of this.#sessions) {
      assert.isFalse(session.closed)
      assert.strictEqual(session.stats.streams, 0)
      assert.strictEqual(session.stats.unreadBytes, 0)
    }
    const [left, right] = [this.#sessions[0].stats, this.#sessions[1].stats]
    assert.strictEqual(left.wireBytesOut, right.wireBytesIn)
    assert.strictEqual(right.wireBytesOut, left.wireBytesIn)
  }
}
