import { join } from "node:path"
import { Child } from "./Child.ts"
import { Fleets } from "./Fleets.ts"
import type { PairedEdge, Proxy } from "./Proxy.ts"
import type { Row } from "./Row.ts"

/**
 * All agents lose their tunnels at once: since the proxy is killed and started again, or since whatever carries
 * their TCP connections breaks them off while the proxy lives. They come back by their own policy, and every token
 * is checked against the database.
 */

export const BAR_SECONDS = 30
export const BAR_BLOCKED_MILLIS = 200

/** Past the bar, in order to tell how late it was. */
const PATIENCE_SECONDS = 120

export interface ComeBackOptions {
  readonly folder: string
  readonly processes: number
}

export const comeBack = async (
  proxy: Proxy,
  edges: ReadonlyArray<PairedEdge>,
  options: ComeBackOptions
): Promise<ReadonlyArray<Row>> => {
  await proxy.start()
  const fleets = fleetsOf(edges, [proxy.tunnelUrl], options)
  try {
    await allUp(fleets, edges.length)
    const cutAt = Date.now()
    await proxy.kill()
    await proxy.start()
    const upAgain = `from the kill; the proxy was up again after ${((Date.now() - cutAt) / 1000).toFixed(1)} s`
    await proxy.child.blocked()
    return await back(proxy, fleets, edges.length, cutAt, { how: "by a kill of the proxy", note: upAgain })
  } finally {
    await fleets.kill()
    await proxy.kill()
  }
}

export const cutOff = async (
  proxy: Proxy,
  edges: ReadonlyArray<PairedEdge>,
  options: ComeBackOptions
): Promise<ReadonlyArray<Row>> => {
  await proxy.start()
  const { hostname, port } = new URL(proxy.tunnelUrl)
  // One for each process of agents: each tunnel costs it two descriptors.
  const relays = Array.from(
    { length: options.processes },
    () => new Child(join(import.meta.dirname, "relay.ts"), [hostname, port])
  )
  const ports = await Promise.all(relays.map((relay) => relay.printed(/listening on (\d+)/)))
  const urls = ports.map(([, relayPort]) => `ws://127.0.0.1:${relayPort}`)
  const fleets = fleetsOf(edges, urls, options)
  try {
    await allUp(fleets, edges.length)
    await proxy.child.blocked()
    const cutAt = Date.now()
    const cut = await Promise.all(relays.map((relay) => relay.ask<number>("cut")))
    const note = `from the cut of ${cut.reduce((sum, count) => sum + count, 0)} connections, each reset at both ends`
    return await back(proxy, fleets, edges.length, cutAt, { how: "by a cut of the network", note })
  } finally {
    await fleets.kill()
    await Promise.all(relays.map((relay) => relay.kill()))
    await proxy.kill()
  }
}

const fleetsOf = (
  edges: ReadonlyArray<PairedEdge>,
  urls: ReadonlyArray<string>,
  { folder, processes }: ComeBackOptions
): Fleets => {
  const tokens = edges.map(({ token }) => token)
  return new Fleets(folder, urls, tokens, processes)
}

const allUp = async (fleets: Fleets, count: number): Promise<void> => {
  const { upSince, endings } = await fleets.up(count, 180)
  if (upSince.length < count) {
    throw new Error(`only ${upSince.length} tunnels after 180 s: ${JSON.stringify(endings)}`)
  }
}

const back = async (
  proxy: Proxy,
  fleets: Fleets,
  count: number,
  cutAt: number,
  { how, note }: { readonly how: string; readonly note: string }
): Promise<ReadonlyArray<Row>> => {
  const { upSince, endings } = await fleets.up(count, PATIENCE_SECONDS, cutAt)
  const { worstMillis, worstCpuMillis, p99Millis } = await proxy.child.blocked()
  const took = upSince.map((at) => (at - cutAt) / 1000).toSorted((a, b) => a - b)
  const at = (part: number) => (took[Math.ceil(took.length * part) - 1] ?? Number.NaN).toFixed(1)
  const missing = count - took.length
  const last = took.at(-1) ?? Number.POSITIVE_INFINITY
  return [
    {
      what: `${count} agents cut off at once ${how}: all back`,
      bar: `${BAR_SECONDS} s`,
      measured: missing > 0 ? `${missing} missing after ${PATIENCE_SECONDS} s` : `${last.toFixed(1)} s`,
      isMet: missing === 0 && last <= BAR_SECONDS,
      notes: [
        note,
        `half back after ${at(0.5)} s, 90 % after ${at(0.9)} s, 99 % after ${at(0.99)} s`,
        `tries that failed: ${describe(endings)}`
      ]
    },
    {
      what: `meanwhile, ${how}, the proxy's event loop blocked`,
      bar: `${BAR_BLOCKED_MILLIS} ms`,
      measured: `${worstMillis.toFixed(0)} ms`,
      isMet: worstMillis <= BAR_BLOCKED_MILLIS,
      notes: [
        `99th percentile ${p99Millis.toFixed(0)} ms`,
        `its thread's own processor time between two turns of a timer: at most ${worstCpuMillis.toFixed(0)} ms`
      ]
    }
  ]
}

const describe = (endings: Readonly<Record<string, number>>): string =>
  Object.entries(endings)
    .map(([text, count]) => `${count} × ${text}`)
    .join(", ")
