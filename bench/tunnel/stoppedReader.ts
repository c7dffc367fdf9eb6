import { join } from "node:path"
import type { Duplex } from "node:stream"
import { ProxyLink } from "@edge-relay/tunnel/link/ProxyLink"
import { Effect, Redacted } from "effect"
import { Child } from "./Child.ts"
import type { Memory } from "./probe.ts"
import type { PairedEdge, Proxy } from "./Proxy.ts"
import type { Row } from "./Row.ts"

/**
 * What the proxy's memory grows by when one end of a spliced stream stops reading and the other one goes on to
 * send for as long as it is taken, either way: on a stream in use, whose window has grown, and on a fresh one.
 */

export interface EdgeCounts {
  readonly sent: number
  readonly received: number
}

type Sender = "edge" | "api"

const senders: ReadonlyArray<Sender> = ["edge", "api"]

const MIB = 1024 * 1024

/** What a stream's window grows to. */
const USED_WINDOW = 4 * MIB

/**
 * A fresh stream's window is 256 KiB. The buffers behind the proxy, the kernel's and the link's window, take that
 * several times before anything stops, and it grows meanwhile: to what the link's own window may be. What the next
 * stream's writer takes is beside it.
 */
const FRESH_WINDOW = MIB
const WRITE_AHEAD = MIB / 2
const CHUNKS = 128 * 1024

/** Until all buffers on the way are full, the kernel's too, which are not the proxy's memory. */
const FILL_SECONDS = 3

/** Moved before the reader stops, by a stream that is in use. */
const FIRST = 128 * MIB

/** By a fresh one: its window has not grown. */
const FRESH = 64 * 1024

export const stoppedReader = async (
  proxy: Proxy,
  edges: ReadonlyArray<PairedEdge>,
  seconds: number
): Promise<ReadonlyArray<Row>> => {
  const [edge] = edges
  if (edge === undefined) throw new Error("no edge")
  await proxy.start()
  const agent = new Child(join(import.meta.dirname, "edge.ts"), [proxy.tunnelUrl, edge.token])
  try {
    await agent.printed(/connected/)
    // Once for nothing: code is compiled and buffers are pooled by then.
    for (const sender of senders) await measure(proxy, agent, edge, sender, FIRST, 1)
    const rows: Array<Row> = []
    for (const first of [FIRST, FRESH]) {
      for (const sender of senders) rows.push(await measure(proxy, agent, edge, sender, first, seconds))
    }
    return rows
  } finally {
    await agent.kill()
    await proxy.kill()
  }
}

const measure = async (
  proxy: Proxy,
  agent: Child,
  edge: PairedEdge,
  sender: Sender,
  first: number,
  seconds: number
): Promise<Row> => {
  const counts = () => agent.ask<EdgeCounts>("counts")
  const countsBefore = await counts()
  const stream = await open(proxy, edge, sender === "edge" ? "source" : "sink")
  stream.write(String(first))
  await pause(0.5)
  let sent = 0
  if (sender === "edge") await read(stream, first)
  else {
    sent += await write(stream, first)
    await until(async () => (await counts()).received - countsBefore.received >= first)
  }
  await pause(0.5)
  // Nothing is under way, and from now on nobody reads.
  const before = await proxy.child.collected()
  if (sender === "edge") await agent.ask("go")
  else {
    const send = () => {
      do sent += chunk.length
      while (stream.write(chunk))
    }
    stream.on("drain", send)
    send()
  }
  const taken = async () => (sender === "edge" ? (await counts()).sent - countsBefore.sent : sent) - first
  await pause(FILL_SECONDS)
  const takenAtFirst = await taken()
  const startedAt = performance.now()
  let mostRss = 0
  do {
    mostRss = Math.max(mostRss, (await proxy.child.memory()).rss - before.rss)
    await pause(0.5)
  } while (performance.now() - startedAt < seconds * 1000)
  const takenLater = (await taken()) - takenAtFirst
  const after = await proxy.child.collected()
  stream.destroy()
  await pause(1)
  const grown = used(after) - used(before)
  const isUsed = first === FIRST
  const most = isUsed ? USED_WINDOW : FRESH_WINDOW + WRITE_AHEAD + CHUNKS
  const parts = isUsed ? "of window" : "of window, writes ahead and chunks"
  return {
    what: `a reader that stops, a ${isUsed ? "used" : "fresh"} stream, the ${sender} sends for ${seconds} s: heap and buffers grow by`,
    bar: `${mib(most)} ${parts}`,
    measured: mib(grown),
    isMet: grown <= most,
    notes: [
      "both after a forced full collection",
      `resident memory: at most ${mib(mostRss)} more than before, ${mib(after.rss - before.rss)} at the end`,
      `the sender was relieved of ${mib(takenAtFirst)} in ${FILL_SECONDS} s, mostly by the kernel's buffers, and of ${mib(takenLater)} after that`
    ]
  }
}

const open = async (proxy: Proxy, edge: PairedEdge, service: string): Promise<Duplex> => {
  const link = new ProxyLink({
    proxyUrl: proxy.internalUrl,
    internalKey: Redacted.make(proxy.internalKey),
    timeoutMillis: 10_000
  })
  const { stream } = await Effect.runPromise(link.open({ edgeId: edge.edgeId, service }))
  stream.on("error", () => undefined)
  stream.once("close", () => link.close())
  return stream
}

/** Reads so many bytes, and no more. */
const read = async (stream: Duplex, bytes: number): Promise<void> => {
  let left = bytes
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    left -= Buffer.byteLength(chunk)
    if (left <= 0) break
  }
  stream.pause()
}

const chunk = Buffer.alloc(64 * 1024)

/** Answers how many bytes it has written: all of them. */
const write = async (stream: Duplex, bytes: number): Promise<number> => {
  let sent = 0
  while (sent < bytes) {
    sent += chunk.length
    if (!stream.write(chunk)) await new Promise((resolve) => stream.once("drain", resolve))
  }
  return sent
}

const until = async (isSo: () => Promise<boolean>): Promise<void> => {
  const deadline = performance.now() + 60_000
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error("the edge's service has not read within 60 s")
    await pause(0.05)
  }
}

const used = ({ heapUsed, external }: Memory): number => heapUsed + external

const mib = (bytes: number): string => `${(bytes / MIB).toFixed(2)} MiB`

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))
