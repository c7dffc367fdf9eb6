import type { Chain } from "./Chain.ts"
import { run } from "./Program.ts"

/** What is asked of a chain, and what came of it. Latencies in milliseconds, rates a second. */

export interface SmallGets {
  readonly requestsPerSecond: number
  readonly p50: number
  readonly p99: number
  /** Of all its processes together, for 100,000 requests. */
  readonly cpuSeconds: number
  readonly cpuOf: Readonly<Record<string, number>>
}

export const smallGets = async (chain: Chain, connections: number, seconds: number): Promise<SmallGets> => {
  const before = chain.programs.map((program) => program.cpuSeconds())
  const threads = String(Math.min(2, connections))
  const output = await run("wrk", [
    "-t",
    threads,
    "-c",
    String(connections),
    "-d",
    `${seconds}s`,
    "--latency",
    "-H",
    `Cookie: ${chain.cookie}`,
    `${chain.url}/`
  ])
  if (/Non-2xx|Socket errors/.test(output)) throw new Error(`${chain.name}: ${output}`)
  const requests = Number(/(\d+) requests in/.exec(output)?.[1])
  const spent = chain.programs.map(
    (program, index) =>
      [program.name, ((program.cpuSeconds() - (before[index] ?? 0)) * 1e5) / requests] as const
  )
  return {
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]),
    p50: millis(/^ +50%\s+(\S+)/m.exec(output)?.[1]),
    p99: millis(/^ +99%\s+(\S+)/m.exec(output)?.[1]),
    cpuSeconds: spent.reduce((sum, [, seconds]) => sum + seconds, 0),
    cpuOf: Object.fromEntries(spent)
  }
}

/** As wrk writes them: `812.00us`, `1.20ms`, `3.00s`. */
const millis = (text = ""): number => {
  const [, number, unit] = /^([\d.]+)(us|ms|s)$/.exec(text) ?? []
  return Number(number) * (unit === "us" ? 0.001 : unit === "s" ? 1000 : 1)
}

/** MB/s. */
export const download = async (chain: Chain, bytes: number): Promise<number> => {
  const output = await run("curl", [
    "-sS",
    "--fail",
    "-o",
    "/dev/null",
    "-w",
    "%{size_download} %{time_total}",
    "-H",
    `Cookie: ${chain.cookie}`,
    `${chain.url}/bytes/${bytes}`
  ])
  return rate(chain, output, bytes)
}

/** MB/s. `file` has that many bytes. */
export const upload = async (chain: Chain, file: string, bytes: number): Promise<number> => {
  const output = await run("curl", [
    "-sS",
    "--fail",
    "-o",
    "/dev/null",
    "-w",
    "%{size_upload} %{time_total}",
    "-X",
    "POST",
    "-T",
    file,
    "-H",
    "Expect:",
    "-H",
    `Cookie: ${chain.cookie}`,
    `${chain.url}/count`
  ])
  return rate(chain, output, bytes)
}

const rate = (chain: Chain, output: string, bytes: number): number => {
  const [size, seconds] = output.split(" ").map(Number)
  if (size !== bytes || seconds === undefined)
    throw new Error(`${chain.name}: ${output} in place of ${bytes} bytes`)
  return bytes / 1e6 / seconds
}

/** Messages a second: `count` WebSockets, each waiting for its KiB to come back before it sends the next. */
export const sockets = async (
  chain: Chain,
  binary: string,
  count: number,
  seconds: number
): Promise<number> => {
  const url = `${chain.url.replace("http:", "ws:")}/socket`
  const output = await run(binary, [
    "sockets",
    "-url",
    url,
    "-cookie",
    chain.cookie,
    "-count",
    String(count),
    "-seconds",
    String(seconds)
  ])
  return Number(/messages\/s: (\d+)/.exec(output)?.[1])
}
