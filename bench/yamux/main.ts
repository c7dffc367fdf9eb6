/**
 * The yamux engine against hashicorp/yamux + gorilla/websocket: two processes each, over a loopback WebSocket,
 * the same work, in turn, so that what the machine does meanwhile hits both.
 *
 *     node bench/yamux/main.ts [rounds, 5] [scenarios, all]
 */
import { spawn, spawnSync } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"

/** Name, unit, amount of work, and the ratio that is asked for. */
const scenarios: ReadonlyArray<readonly [string, string, number, number]> = [
  ["up", "MB/s", 1 << 30, 1.5],
  ["down", "MB/s", 1 << 30, 1.5],
  ["echo64", "echoes/s", 200_000, 2.5],
  ["cycle1", "streams/s", 10_000, 1],
  ["cycle16", "streams/s", 30_000, 1]
]

type Launch = (...args: ReadonlyArray<string>) => ChildProcess

/** What the process prints after this word. */
const said = async (child: ChildProcess, word: string): Promise<string> => {
  if (child.stdout === null) throw new Error("no output to read")
  for await (const line of createInterface(child.stdout)) {
    if (line.startsWith(`${word} `)) return line.slice(word.length + 1)
  }
  throw new Error(`${child.spawnfile} ended without "${word}"`)
}

const measure = async (launch: Launch, scenario: string, amount: number): Promise<number> => {
  const server = launch("serve")
  try {
    const address = await said(server, "listening")
    const client = launch("run", address, scenario, String(amount))
    const exited = once(client, "exit")
    const result = Number(await said(client, "result"))
    await exited
    return result
  } finally {
    server.kill()
  }
}

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN

const folder = mkdtempSync(join(tmpdir(), "yamux-bench-"))
const stdio = ["ignore", "pipe", "inherit"] as const
try {
  const binary = join(folder, "bench")
  const built = spawnSync("go", ["build", "-o", binary, "."], {
    cwd: join(import.meta.dirname, "go"),
    stdio: "inherit"
  })
  if (built.status !== 0) throw new Error("go build failed")
  const go: Launch = (...args) => spawn(binary, args, { stdio: [...stdio] })
  const peer = join(import.meta.dirname, "peer.ts")
  const ours: Launch = (...args) => spawn(process.execPath, [peer, ...args], { stdio: [...stdio] })

  const rounds = Number(process.argv[2] ?? 5)
  const wanted = process.argv[3]?.split(",")
  for (const [name, unit, amount, bar] of scenarios) {
    if (wanted !== undefined && !wanted.includes(name)) continue
    const results: Array<readonly [number, number]> = []
    for (let round = 0; round < rounds; round++) {
      results.push([await measure(ours, name, amount), await measure(go, name, amount)])
    }
    const [mine, theirs] = [
      median(results.map(([mine]) => mine)),
      median(results.map(([, theirs]) => theirs))
    ]
    const ratio = median(results.map(([mine, theirs]) => mine / theirs))
    const figures = `${mine.toFixed(0)} ${unit}, Go ${theirs.toFixed(0)}: ${ratio.toFixed(2)} times, wanted ${bar}`
    console.log(`${name.padEnd(8)} ${figures}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
