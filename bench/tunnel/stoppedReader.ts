import { join } from "node:path"
import type { Duplex } from "node:stream"
import { ProxyLink } from "@edge-relay/tunnel/ProxyLink"
import { Effect, Redacted } from "effect"
import { Child } from "./Child.ts"
import type { Memory } from "./probe.ts"
import type { PairedEdge, Proxy } from "./Proxy.ts"
import type { Row } from "./Row.ts"

/**
 * What the proxy's memory grows by when one end of a spliced stream stops reading and the other one goes on to
 * send for as long as it is taken, either way. The stream is in use before, so that its window has grown.
 */

export interface EdgeCounts {
  readonly sent: number
  readonly received: number
}

type Sender = "edge" | "api"

const MIB = 1024 * 1024

/** What a stream's window grows to, and what a socket of Node's takes before it asks to wait. */
export const WINDOW_MIB = 4
export const SOCKET_KIB = 64

/** Until all buffers on the way are full, the kernel's too, which are not the proxy's memory. */
const FILL_SECONDS = 3

/** Moved before the reader stops. */
const FIRST = 128 * MIB

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
    for (const sender of ["edge", "api"] as const) await measure(proxy, agent, edge, sender, 1)
    return [
      await measure(proxy, agent, edge, "edge", seconds),
      await measure(proxy, agent, edge, "api", seconds)
    ]
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
  seconds: number
): Promise<Row> => {
  const counts = () => agent.ask<EdgeCounts>("counts")
  const countsBefore = await counts()
  const stream = await open(proxy, edge, sender === "edge" ? "source" : "sink")
  stream.write(String(FIRST))
  await pause(0.5)
  let sent = 0
  if (sender === "edge") await read(stream, FIRST)
  else {
    sent += await write(stream, FIRST)
    await until(async () => (await counts()).received - countsBefore.received >= FIRST)
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
  const taken = async () => (sender === "edge" ? (await counts()).sent - countsBefore.sent : sent) - FIRST
  await pause(FILL_SECONDS)
  const takenAtFirst = await taken()
  const startedAt = performance.now()
  let most = 0
  do {
    most = Math.max(most, (await proxy.child.memory()).rss - before.rss)
    await pause(0.5)
  } while (performance.now() - startedAt < seconds * 1000)
  const takenLater = (await taken()) - takenAtFirst
  const after = await proxy.child.collected()
  stream.destroy()
  await pause(1)
  const grown = used(after) - used(before)
  return {
    what: `a reader that stops, the ${sender} sends for ${seconds} s: heap and buffers grow by`,
    bar: `${WINDOW_MIB} MiB of window + ${SOCKET_KIB} KiB of socket`,
    measured: mib(grown),
    isMet: grown <= WINDOW_MIB * MIB + SOCKET_KIB * 1024,
    notes: [
      "both after a forced full collection",
      `resident memory: at most ${mib(most)} more than before, ${mib(after.rss - before.rss)} at the end`,
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
