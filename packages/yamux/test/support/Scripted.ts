import { Session } from "../../src/Session.ts"
import type { Role } from "../../src/Session.ts"
import type { SessionOptions } from "../../src/SessionOptions.ts"
import type { Stream } from "../../src/Stream.ts"
import { MemoryTransport } from "./MemoryTransport.ts"
import { TestTimers } from "./TestTimers.ts"
import { codeOf, parse, shown } from "@edge-relay/testkit/yamux/Wire"
import type { ParsedFrame } from "@edge-relay/testkit/yamux/Wire"

/** One session whose peer is the test: it feeds frames, and reads those that the session sends. */
export class Scripted {
  readonly transport = new MemoryTransport()
  readonly timers = new TestTimers()
  readonly session: Session
  /** Inbound streams. */
  readonly streams: Array<Stream> = []
  readonly goAways: Array<number> = []
  /** One entry for each time that `onClose` was called. */
  readonly ends: Array<Error | undefined> = []

  constructor(role: Role, options?: Partial<SessionOptions>) {
    this.session = new Session(role, this.transport, { timers: this.timers, ...options })
    this.session.onStream = (stream) => this.streams.push(stream)
    this.session.onGoAway = (code) => this.goAways.push(code)
    this.session.onClose = (error) => this.ends.push(error)
  }

  feed(...chunks: ReadonlyArray<Buffer>): void {
    for (const chunk of chunks) this.transport.onData(chunk)
  }

  /** The inbound stream number `index`; there has to be one. */
  stream(index = 0): Stream {
    const stream = this.streams[index]
    if (stream === undefined) throw new Error(`no inbound stream ${index}`)
    return stream
  }

  /** The frames that were sent since the last call, after what this turn still has to do. */
  async frames(): Promise<Array<ParsedFrame>> {
    await turn()
    return parse(Buffer.concat(this.transport.messages.splice(0)))
  }

  /** The same, as texts. */
  async sent(): Promise<Array<string>> {
    return (await this.frames()).map(shown)
  }

  /** The session's only end, as its code. */
  get end(): string | undefined {
    if (this.ends.length !== 1) throw new Error(`the session has ended ${this.ends.length} times`)
    return codeOf(this.ends[0])
  }
}

/** After everything that is due now, and what it sends at the end of its round of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

/** The code of the error that this throws. */
export const thrown = (action: () => unknown): string | undefined => {
  try {
    action()
  } catch (error) {
    return codeOf(error)
  }
  return undefined
}

/** What happens to a stream, in order: payloads as text, "end", "error CODE", "close". */
export const watch = (stream: Stream): Array<string> => {
  const events: Array<string> = []
  stream.on("data", (chunk: Buffer) =>
    events.push(chunk.length > 40 ? `${chunk.length} bytes` : chunk.toString())
  )
  stream.on("end", () => events.push("end"))
  stream.on("error", (error) => events.push(`error ${codeOf(error)}`))
  stream.on("close", () => events.push("close"))
  return events
}

/** Writes, and answers what its callback was given: "written" or the error's code. */
export const write = (stream: Stream, bytes: number | string): Promise<string> =>
  new Promise((resolve) => {
    const chunk = typeof bytes === "number" ? Buffer.alloc(bytes, 0x62) : Buffer.from(bytes)
    stream.write(chunk, (error) => resolve(error == null ? "written" : (codeOf(error) ?? String(error))))
  })
