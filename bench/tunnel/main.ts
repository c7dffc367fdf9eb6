import { mkdtempSync, rmSync } from "node:fs"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { comeBack, cutOff } from "./comeBack.ts"
import { idleTunnels } from "./idleTunnels.ts"
import { Proxy, seedEdges } from "./Proxy.ts"
import type { Row } from "./Row.ts"
import { stoppedReader } from "./stoppedReader.ts"

/**
 * What the proxy must bear: ten thousand idle tunnels, a reader that stops, ten thousand agents that come back at
 * once, since the proxy was killed or since the network was cut. `npm run bench -- tunnel [--tunnels 10000]
 * [--seconds 60] [--processes 2] [--only idle,reader,back,cut] [--strict]`; with `--strict` a missed bar is the exit
 * status 1.
 */

const argument = (name: string): string | undefined => {
  const index = process.argv.indexOf(name)
  return index === -1 ? undefined : process.argv[index + 1]
}
const tunnels = Number(argument("--tunnels") ?? 10_000)
const seconds = Number(argument("--seconds") ?? 60)
const processes = Number(argument("--processes") ?? 2)
const only = (argument("--only") ?? "idle,reader,back,cut").split(",")

const say = (text: string) => process.stdout.write(`${text}\n`)

/** Descriptors besides the tunnels'. */
const SPARE = 100

const limits = process.report.getReport() as {
  readonly userLimits?: { readonly open_files?: { readonly hard: number | string } }
}
const most = Number(limits.userLimits?.open_files?.hard)
if (tunnels + SPARE > most) {
  say(`${tunnels} tunnels need as many open files, and ${most} are allowed: ulimit -Hn, or --tunnels`)
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), "edge-relay-bench-"))
const rows: Array<Row> = []
try {
  const load = loadavg().map((one) => one.toFixed(1))
  say(`${cpus().length} cores (${cpus()[0]?.model}), Node ${process.version}, load ${load.join(" ")}`)
  const databaseUrl = `sqlite:${join(folder, "bench.db")}`
  const many = ["idle", "back", "cut"].some((name) => only.includes(name))
  const edges = await seedEdges(databaseUrl, many ? tunnels : 1)
  const proxy = await Proxy.make(databaseUrl)
  if (only.includes("idle"))
    rows.push(await idleTunnels(proxy, edges, { folder, processes, settleSeconds: 60 }))
  if (only.includes("reader")) rows.push(...(await stoppedReader(proxy, edges, seconds)))
  if (only.includes("back")) rows.push(...(await comeBack(proxy, edges, { folder, processes })))
  if (only.includes("cut")) rows.push(...(await cutOff(proxy, edges, { folder, processes })))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

say("\n| what | bar | measured | met |\n|---|---|---|---|")
for (const { what, bar, measured, isMet } of rows) {
  say(`| ${what} | at most ${bar} | ${measured} | ${isMet ? "yes" : "no"} |`)
}
say("")
for (const { what, notes } of rows) for (const note of notes) say(`${what}: ${note}`)
if (process.argv.includes("--strict") && rows.some(({ isMet }) => !isMet)) process.exitCode = 1
