import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Chain } from "../gateway/Chain.ts"
import * as Load from "../gateway/Load.ts"
import { startOurChain } from "../gateway/OurChain.ts"
import { freePort, isInstalled, Program, run } from "../gateway/Program.ts"
import { sharesOf } from "./CpuProfile.ts"

/**
 * Where the time goes in api, proxy and agent under each load of the gateway's measurement, as V8's profiler samples
 * it: `npm run bench -- profile [requests|download|upload|sockets]`. The profiler itself costs some of it.
 */

const bulkBytes = 2_000_000_000

const loads: Readonly<Record<string, (chain: Chain, tools: Tools) => Promise<unknown>>> = {
  requests: (chain) => Load.smallGets(chain, 32, 6),
  download: (chain) => Load.download(chain, bulkBytes),
  upload: (chain, { file }) => Load.upload(chain, file, bulkBytes),
  sockets: (chain, { reference }) => Load.sockets(chain, reference, 1000, 6)
}

interface Tools {
  readonly reference: string
  readonly file: string
}

const missing = ["go", "wrk", "curl"].filter((command) => !isInstalled(command))
if (missing.length > 0) {
  process.stdout.write(`skipped: ${missing.join(", ")} not installed\n`)
  process.exit(0)
}

const wanted = process.argv[2]
if (wanted !== undefined && !Object.hasOwn(loads, wanted)) {
  process.stderr.write(`there is no load ${wanted}: ${Object.keys(loads).join(", ")}\n`)
  process.exit(2)
}

const profile = async (name: string, load: (chain: Chain, tools: Tools) => Promise<unknown>) => {
  const folder = mkdtempSync(join(tmpdir(), "edge-relay-profile-"))
  try {
    const tools = { reference: join(folder, "reference"), file: join(folder, "upload.bin") }
    await run(
      "go",
      ["build", "-o", tools.reference, "."],
      join(import.meta.dirname, "../gateway/go-reference")
    )
    writeFileSync(tools.file, "")
    truncateSync(tools.file, bulkBytes)
    const originPort = await freePort()
    await Program.start(
      "origin",
      ["/bin/sh", "-c", `echo started; exec ${tools.reference} origin -listen 127.0.0.1:${originPort}`],
      { ready: "started" }
    )
    const profiles = (role: string) => join(folder, `profile-${role}`)
    const chain = await startOurChain(folder, originPort, (role) => {
      mkdirSync(profiles(role))
      return ["--cpu-prof", `--cpu-prof-dir=${profiles(role)}`]
    })
    const startedAt = performance.now()
    await load(chain, tools)
    const seconds = (performance.now() - startedAt) / 1000
    process.stdout.write(`\n### ${name}\n`)
    // The agent first, which would otherwise see the others go and try to come back.
    for (const program of chain.programs.toReversed()) await program.stop("SIGTERM")
    for (const { name: role } of chain.programs) {
      const { busy, shares } = sharesOf(profiles(role), seconds)
      process.stdout.write(`\n${role}, busy ${(busy * 100).toFixed(0)} % of ${seconds.toFixed(1)} s\n\n`)
      for (const { place, share } of shares) {
        if (share < 0.01) continue
        const bar = "#".repeat(Math.round(share * 50))
        process.stdout.write(`${(share * 100).toFixed(0).padStart(3)} % ${place.padEnd(52)} ${bar}\n`)
      }
    }
  } finally {
    await Program.stopAll()
    rmSync(folder, { recursive: true, force: true })
  }
}

for (const [name, load] of Object.entries(loads)) {
  if (wanted === undefined || wanted === name) await profile(name, load)
}
