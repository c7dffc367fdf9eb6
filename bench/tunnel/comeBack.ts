import { Fleets } from "./Fleets.ts"
import type { PairedEdge, Proxy } from "./Proxy.ts"
import type { Row } from "./Row.ts"

/**
 * All agents lose their tunnels at once, since the proxy is killed and started again; they come back by their own
 * policy, and every token is checked against the database.
 */

export const BAR_SECONDS = 30
export const BAR_BLOCKED_MILLIS = 200

/** Past the bar, in order to tell how late it was. */
const PATIENCE_SECONDS = 120

export const comeBack = async (
  proxy: Proxy,
  edges: ReadonlyArray<PairedEdge>,
  options: { readonly folder: string; readonly processes: number }
): Promise<ReadonlyArray<Row>> => {
  await proxy.start()
  const tokens = edges.map(({ token }) => token)
  const fleets = new Fleets(options.folder, proxy.tunnelUrl, tokens, options.processes)
  try {
    const first = await fleets.up(edges.length, 180)
    if (first.upSince.length < edges.length) {
      throw new Error(`only ${first.upSince.length} tunnels after 180 s: ${JSON.stringify(first.endings)}`)
    }
    const cutAt = Date.now()
    await proxy.kill()
    await proxy.start()
    const restarted = Date.now()
    await proxy.child.blocked()
    const { upSince, endings } = await fleets.up(edges.length, PATIENCE_SECONDS, cutAt)
    const { worstMillis, worstCpuMillis, p99Millis } = await proxy.child.blocked()
    const took = upSince.map((at) => (at - cutAt) / 1000).toSorted((a, b) => a - b)
    const at = (part: number) => (took[Math.ceil(took.length * part) - 1] ?? Number.NaN).toFixed(1)
    const missing = edges.length - took.length
    const last = took.at(-1) ?? Number.POSITIVE_INFINITY
    return [
      {
        what: `${edges.length} agents cut off at once: all back`,
        bar: `${BAR_SECONDS} s`,
        measured: missing > 0 ? `${missing} missing after ${PATIENCE_SECONDS} s` : `${last.toFixed(1)} s`,
        isMet: missing === 0 && last <= BAR_SECONDS,
        notes: [
          `from the kill; the proxy was up again after ${((restarted - cutAt) / 1000).toFixed(1)} s`,
          `half back after ${at(0.5)} s, 90 % after ${at(0.9)} s, 99 % after ${at(0.99)} s`,
          `tries that failed: ${describe(endings)}`
        ]
      },
      {
        what: "meanwhile, the proxy's event loop blocked",
        bar: `${BAR_BLOCKED_MILLIS} ms`,
        measured: `${worstMillis.toFixed(0)} ms`,
        isMet: worstMillis <= BAR_BLOCKED_MILLIS,
        notes: [
          `99th percentile ${p99Millis.toFixed(0)} ms`,
          `its thread's own processor time between two turns of a timer: at most ${worstCpuMillis.toFixed(0)} ms`
        ]
      }
    ]
  } finally {
    await fleets.kill()
    await proxy.kill()
  }
}

const describe = (endings: Readonly<Record<string, number>>): string =>
  Object.entries(endings)
    .map(([text, count]) => `${count} × ${text}`)
    .join(", ")
