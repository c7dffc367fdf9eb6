import { Fleets } from "./Fleets.ts"
import type { Memory } from "./probe.ts"
import type { PairedEdge, Proxy } from "./Proxy.ts"
import type { Row } from "./Row.ts"

/**
 * What an idle tunnel costs the proxy in memory: the most it has with all of them, from the moment in which the last
 * has connected, less what it had before, divided.
 */

export const BAR_KIB = 16

const SAMPLE_SECONDS = 2

export const idleTunnels = async (
  proxy: Proxy,
  edges: ReadonlyArray<PairedEdge>,
  options: { readonly folder: string; readonly processes: number; readonly settleSeconds: number }
): Promise<Row> => {
  const snapshot = process.env["BENCH_HEAP_SNAPSHOT"]
  await proxy.start()
  const fleets = new Fleets(
    options.folder,
    [proxy.tunnelUrl],
    edges.map(({ token }) => token),
    options.processes
  )
  try {
    const before = await proxy.child.memory()
    const collectedBefore = await proxy.child.collected()
    const { upSince, endings } = await fleets.up(edges.length, 180)
    if (upSince.length < edges.length) {
      throw new Error(`only ${upSince.length} tunnels after 180 s: ${JSON.stringify(endings)}`)
    }
    const atOnce = await proxy.child.memory()
    let most = atOnce.rss
    const idle = async (seconds: number) => {
      for (let second = 0; second < seconds; second += SAMPLE_SECONDS) {
        await pause(SAMPLE_SECONDS)
        most = Math.max(most, (await proxy.child.memory()).rss)
      }
    }
    // Each has answered a few beats by then, and V8 has seen that little is going on.
    await idle(options.settleSeconds / 3)
    const cpuFrom = [await proxy.child.cpuMillis(), await fleets.cpuMillis()] as const
    const cpuSeconds = (options.settleSeconds * 2) / 3
    await idle(cpuSeconds)
    const cpuTo = [await proxy.child.cpuMillis(), await fleets.cpuMillis()] as const
    const cpu = (index: 0 | 1) => `${((cpuTo[index] - cpuFrom[index]) / cpuSeconds).toFixed(1)} ms a second`
    const after = await proxy.child.memory()
    const collected = await proxy.child.collected()
    if (snapshot !== undefined) await proxy.child.ask(`snapshot ${snapshot}`, 300)
    const each = (bytes: number) => bytes / 1024 / edges.length
    const kib = each(most - before.rss)
    const parts = (from: Memory, to: Memory) => {
      const heap = each(to.heapUsed - from.heapUsed).toFixed(1)
      const external = each(to.external - from.external).toFixed(1)
      return `resident ${each(to.rss - from.rss).toFixed(1)}, heap ${heap}, external ${external}`
    }
    return {
      what: `an idle tunnel, resident memory in the proxy at its most, ${edges.length} of them`,
      bar: `${BAR_KIB} KiB`,
      measured: `${kib.toFixed(1)} KiB`,
      isMet: kib <= BAR_KIB,
      notes: [
        `as soon as all were connected: ${parts(before, atOnce)} KiB`,
        `${options.settleSeconds} s later, as it is: ${parts(before, after)} KiB`,
        `after a forced full collection, before and after: ${parts(collectedBefore, collected)} KiB`,
        `processor time of all of them: the proxy's ${cpu(0)}, the agents' ${cpu(1)}`,
        `the proxy: ${(before.rss / 1e6).toFixed(0)} MB before, ${(after.rss / 1e6).toFixed(0)} MB after`
      ]
    }
  } finally {
    await fleets.kill()
    await proxy.kill()
  }
}

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))
