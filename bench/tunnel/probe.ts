import { monitorEventLoopDelay } from "node:perf_hooks"
import { setFlagsFromString, writeHeapSnapshot } from "node:v8"
import { runInNewContext } from "node:vm"

/**
 * Preloaded into a process under measurement (`--import`), which then answers questions about itself over IPC:
 * its memory, and for how long its event loop was blocked since it was last asked.
 *
 * A shared machine takes the processor away in the middle of a turn, which looks like a block. So the time that
 * the main thread itself has worked between two turns is kept too: the part of a block that is the program's.
 */

export interface Memory {
  readonly rss: number
  readonly heapUsed: number
  /** Array buffers included. */
  readonly external: number
}

export interface Blocked {
  readonly worstMillis: number
  readonly p99Millis: number
  /** Of the main thread's processor time, between two looks of the timer. */
  readonly worstCpuMillis: number
}

export type Question = "memory" | "collect" | "blocked" | "cpu" | `snapshot ${string}`

const resolution = 10
const delay = monitorEventLoopDelay({ resolution })
delay.enable()

const cpuMillis = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
let lastCpu = cpuMillis()
let worstCpu = 0
setInterval(() => {
  const cpu = cpuMillis()
  worstCpu = Math.max(worstCpu, cpu - lastCpu)
  lastCpu = cpu
}, resolution).unref()

const memory = (): Memory => {
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss, heapUsed, external }
}

const blocked = (): Blocked => {
  // Nanoseconds, the timer's own period included.
  const answer = {
    worstMillis: Math.max(0, delay.max / 1e6 - resolution),
    p99Millis: Math.max(0, delay.percentile(99) / 1e6 - resolution),
    worstCpuMillis: worstCpu
  }
  delay.reset()
  worstCpu = 0
  return answer
}

const collect = (): Memory => {
  setFlagsFromString("--expose-gc")
  const gc: unknown = runInNewContext("gc")
  if (typeof gc === "function") {
    gc()
    gc()
  }
  return memory()
}

process.on("message", ({ id, question }: { readonly id: number; readonly question: Question }) => {
  const answer =
    question === "memory"
      ? memory()
      : question === "collect"
        ? collect()
        : question === "blocked"
          ? blocked()
          : question === "cpu"
            ? process.cpuUsage()
            : writeHeapSnapshot(question.slice("snapshot ".length))
  process.send?.({ id, answer })
})
// Only the parent listens: the process ends as it would without us.
process.channel?.unref()
