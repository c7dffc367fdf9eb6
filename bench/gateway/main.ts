import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import type { Chain } from "./Chain.ts"
import { startGoChain } from "./GoChain.ts"
import * as Load from "./Load.ts"
import { startOurChain } from "./OurChain.ts"
import { freePort, isInstalled, Program, run } from "./Program.ts"

/**
 * The gateway against the Go reference: api, proxy and agent of each as three processes, ours also with api and proxy
 * in one, the same origin, the same load, in turns. `npm run bench -- gateway [--rounds 5] [--quick] [--idle 10000]`.
 */

const argument = (name: string, otherwise: number): number => {
  const index = process.argv.indexOf(name)
  return index === -1 ? otherwise : Number(process.argv[index + 1])
}
const isQuick = process.argv.includes("--quick")
const rounds = argument("--rounds", isQuick ? 1 : 5)
const idleCount = argument("--idle", isQuick ? 0 : 10_000)
const seconds = isQuick ? 3 : 8
/** After 10,000 tunnels have been opened. */
const settleMillis = 10_000
const bulkBytes = isQuick ? 250_000_000 : 1_000_000_000

const missing = ["go", "wrk", "curl"].filter((command) => !isInstalled(command))
if (missing.length > 0) {
  process.stdout.write(`skipped: ${missing.join(", ")} not installed\n`)
  process.exit(0)
}

interface Round {
  readonly small: Load.SmallGets
  readonly one: Load.SmallGets
  readonly download: number
  readonly upload: number
  readonly messages: number
  /** CPU seconds for a GB, of each process. */
  readonly downloadCpu: Readonly<Record<string, number>>
  readonly uploadCpu: Readonly<Record<string, number>>
}

const say = (text: string) => process.stdout.write(`${text}\n`)

const measure = async (chain: Chain, binary: string, file: string): Promise<Round> => {
  await Load.smallGets(chain, 32, 2)
  const small = await Load.smallGets(chain, 32, seconds)
  const one = await Load.smallGets(chain, 1, Math.ceil(seconds / 2))
  const down = await withCpu(chain, () => Load.download(chain, bulkBytes))
  const up = await withCpu(chain, () => Load.upload(chain, file, bulkBytes))
  const messages = await Load.sockets(chain, binary, 1000, seconds)
  // A thousand WebSockets have just been cut off, and an edge takes 1,024 streams: the next round is not to meet them.
  await setTimeout(1000)
  return {
    small,
    one,
    download: down.result,
    upload: up.result,
    messages,
    downloadCpu: down.cpu,
    uploadCpu: up.cpu
  }
}

const withCpu = async (chain: Chain, transfer: () => Promise<number>) => {
  const before = chain.programs.map((program) => program.cpuSeconds())
  const result = await transfer()
  const spent = chain.programs.map((program, index) => {
    const perGb = ((program.cpuSeconds() - (before[index] ?? 0)) * 1e9) / bulkBytes
    return [program.name, perGb] as const
  })
  return { result, cpu: Object.fromEntries(spent) }
}

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

interface Row {
  readonly what: string
  readonly of: (round: Round) => number
  readonly bar: number
  readonly better: "more" | "less"
  readonly digits: number
}

const rows: ReadonlyArray<Row> = [
  {
    what: "small GETs, 32 connections, requests/s",
    of: ({ small }) => small.requestsPerSecond,
    bar: 2,
    better: "more",
    digits: 0
  },
  {
    what: "the same, 99th percentile, ms",
    of: ({ small }) => small.p99,
    bar: 0.7,
    better: "less",
    digits: 2
  },
  { what: "one connection, median, ms", of: ({ one }) => one.p50, bar: 0.8, better: "less", digits: 3 },
  {
    what: "CPU seconds for 100,000 small GETs",
    of: ({ small }) => small.cpuSeconds,
    bar: 0.6,
    better: "less",
    digits: 1
  },
  { what: "1 GB download, MB/s", of: ({ download }) => download, bar: 1.5, better: "more", digits: 0 },
  { what: "1 GB upload, MB/s", of: ({ upload }) => upload, bar: 1.5, better: "more", digits: 0 },
  {
    what: "1,000 WebSockets, messages/s",
    of: ({ messages }) => messages,
    bar: 1.5,
    better: "more",
    digits: 0
  }
]

const print = (
  what: string,
  ours: number,
  theirs: number,
  bar: number,
  better: "more" | "less",
  digits: number
): void => {
  const ratio = ours / theirs
  const isMet = better === "more" ? ratio >= bar : ratio <= bar
  say(
    `| ${what} | ${theirs.toFixed(digits)} | ${ours.toFixed(digits)} | ${ratio.toFixed(2)} | at ${better === "more" ? "least" : "most"} ${bar} | ${isMet ? "yes" : "no"} |`
  )
}

const folder = mkdtempSync(join(tmpdir(), "edge-relay-bench-"))
try {
  const binary = join(folder, "reference")
  await run("go", ["build", "-o", binary, "."], join(import.meta.dirname, "go-reference"))
  const file = join(folder, "upload.bin")
  writeFileSync(file, "")
  truncateSync(file, bulkBytes)

  const originPort = await freePort()
  await Program.start(
    "origin",
    ["/bin/sh", "-c", `echo started; exec ${binary} origin -listen 127.0.0.1:${originPort}`],
    { ready: "started" }
  )
  const go = await startGoChain(binary, originPort)
  const ours = await startOurChain(folder, originPort)
  const oneFolder = join(folder, "one")
  mkdirSync(oneFolder)
  const one = await startOurChain(oneFolder, originPort, undefined, "one")
  const chains = { go, ours, one }
  type Name = keyof typeof chains
  const names: ReadonlyArray<Name> = ["go", "ours", "one"]

  say(
    `${cpus().length} cores (${cpus()[0]?.model}), Node ${process.version}, ${(await run("go", ["version"])).trim()}`
  )
  const results: Record<Name, Array<Round>> = { go: [], ours: [], one: [] }
  for (let round = 0; round < rounds; round++) {
    // Each goes first in its turn.
    for (let turn = 0; turn < names.length; turn++) {
      const which = names[(round + turn) % names.length] ?? "go"
      const result = await measure(chains[which], binary, file)
      results[which].push(result)
      say(
        `round ${round + 1}, ${which.padEnd(4)} ${rows.map(({ of, digits }) => of(result).toFixed(digits)).join(" · ")}`
      )
    }
  }

  say("\n| what | Go | ours | ratio | bar | met |\n|---|---|---|---|---|---|")
  for (const { what, of, bar, better, digits } of rows) {
    print(what, median(results.ours.map(of)), median(results.go.map(of)), bar, better, digits)
  }
  say("\n| what | three processes | one for api and proxy | ratio |\n|---|---|---|---|")
  for (const { what, of, digits } of rows) {
    const [three, two] = [median(results.ours.map(of)), median(results.one.map(of))]
    say(`| ${what} | ${three.toFixed(digits)} | ${two.toFixed(digits)} | ${(two / three).toFixed(2)} |`)
  }

  const memory = (chain: Chain) =>
    chain.programs.map((program) => `${program.name} ${program.memory().toFixed(0)} MB`).join(", ")
  const cpu = (
    all: ReadonlyArray<Round>,
    of: (round: Round) => Readonly<Record<string, number>> = ({ small }) => small.cpuOf
  ) =>
    Object.keys(all[0]?.small.cpuOf ?? {})
      .map((name) => `${name} ${median(all.map((round) => of(round)[name] ?? 0)).toFixed(2)} s`)
      .join(", ")
  const down = ({ downloadCpu }: Round) => downloadCpu
  const up = ({ uploadCpu }: Round) => uploadCpu
  const lines = [
    `CPU for 100,000 small GETs, Go: ${cpu(results.go)}; ours: ${cpu(results.ours)}; one: ${cpu(results.one)}`,
    `CPU for 1 GB down, Go: ${cpu(results.go, down)}; ours: ${cpu(results.ours, down)}; one: ${cpu(results.one, down)}`,
    `CPU for 1 GB up, Go: ${cpu(results.go, up)}; ours: ${cpu(results.ours, up)}; one: ${cpu(results.one, up)}`,
    `memory after the load, Go: ${memory(go)}; ours: ${memory(ours)}; one: ${memory(one)}`
  ]

  if (idleCount > 0) {
    const requests = async () => {
      const rates: Array<number> = []
      while (rates.length < rounds) rates.push((await Load.smallGets(ours, 32, seconds)).requestsPerSecond)
      return rates
    }
    // Before and after, so that a machine that slows down is not taken for the tunnels' work.
    const without = await requests()
    const before = ours.programs.map((program) => program.memory())
    const close = await ours.openIdle(idleCount)
    // Idle is what they are once what it took to connect them is behind.
    await setTimeout(settleMillis)
    const withIdle = await requests()
    const proxy = ((ours.programs[1]?.memory() ?? 0) - (before[1] ?? 0)) / idleCount
    lines.push(`the proxy's memory for each idle tunnel: ${(proxy * 1000).toFixed(1)} KB`)
    await close()
    without.push(...(await requests()))
    print(
      `small GETs beside ${idleCount} idle tunnels, requests/s (ours without them in place of Go)`,
      median(withIdle),
      median(without),
      0.9,
      "more",
      0
    )
  }
  say(`\n${lines.join("\n")}`)
} finally {
  await Program.stopAll()
  rmSync(folder, { recursive: true, force: true })
}
