import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { bundleAgent, bundleServers } from "./packaging/Bundles.ts"
import { downloads } from "./packaging/Downloads.ts"
import { executable } from "./packaging/Executable.ts"
import { licences } from "./packaging/Manifest.ts"
import { host, isTarget, type Target, targets } from "./packaging/NodeBinary.ts"

/**
 * `npm run build [-- FOLDER] [--target NAME …] [--downloads]`: each program as one file in `dist/` or that folder,
 * which Node 26 runs as it is; and the agent as one executable that needs no Node: `edge-relay` for this machine,
 * `edge-relay-linux-arm64` and so on for others. With `--downloads`, what the api offers to machines, in
 * `downloads/`.
 */

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { target: { type: "string", multiple: true }, downloads: { type: "boolean", default: false } }
})

const hosted = host()
/** This machine's, and what most edges are. */
const usual: ReadonlyArray<Target> = [
  ...new Set([...(hosted === undefined ? [] : [hosted]), "linux-x64", "linux-arm64"] as const)
]
const wanted = values.target?.map((name) => {
  if (name === "host" && hosted !== undefined) return hosted
  if (isTarget(name)) return name
  console.error(`there is no target ${name}: host, ${Object.keys(targets).join(", ")}`)
  process.exit(2)
})

const folder = positionals[0] ?? "dist"
await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })
const module = `${folder}/edge-relay.mjs`
const built = [...(await bundleServers(folder)), module]
const inside = licences(await bundleAgent(module, "esm"))

const scratch = await mkdtemp(join(tmpdir(), "edge-relay-build-"))
try {
  const bundle = join(scratch, "edge-relay.cjs")
  await bundleAgent(bundle, "cjs")
  const executables = new Map<Target, string>()
  for (const target of wanted ?? usual) {
    const suffix = target.startsWith("win") ? ".exe" : ""
    const file = `${folder}/edge-relay${target === hosted ? "" : `-${target}`}${suffix}`
    try {
      await executable(bundle, target, file, scratch)
      executables.set(target, file)
    } catch (error) {
      // What was asked for by name has to be there; of the usual ones, those that can be had.
      if (wanted !== undefined || target === hosted) throw error
      console.log(`no executable for ${target}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  built.push(...executables.values())
  if (values.downloads) {
    const into = `${folder}/downloads`
    built.push(...(await downloads({ executables, bundle: module, licences: inside, folder: into, scratch })))
  }
} finally {
  await rm(scratch, { recursive: true, force: true })
}
console.log(`built ${built.join(", ")}`)
