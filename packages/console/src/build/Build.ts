import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { brotliCompressSync, constants, gzipSync } from "node:zlib"

/**
 * The console as files that a server can send as they are: `index.html`, and `assets/` whose names carry the hash of
 * what is in them, each also compressed (`.br`, `.gz`).
 */

const run = promisify(execFile)

const packageFolder = fileURLToPath(new URL("../..", import.meta.url))

/** Where the console is built to in a checkout. */
export const builtFolder = join(packageFolder, "dist")

/** Of what the files in `dist` were made: a hash. Written last, so that a build that broke off is done again. */
const stamp = ".inputs"

/** Builds into a folder, which then holds this console and nothing else. */
export const build = async (destination: string): Promise<void> => {
  const folder = resolve(destination)
  await mkdir(dirname(folder), { recursive: true })
  const fresh = await mkdtemp(`${folder}-`)
  try {
    await run(process.execPath, [fileURLToPath(new URL("./Vite.ts", import.meta.url)), fresh], {
      env: { ...process.env, NODE_ENV: "production" }
    })
    await compressAll(join(fresh, "assets"))
    await replace(folder, fresh)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

/** Builds the checkout's console where that has changed since it was built. */
export const ensureBuilt = async (): Promise<void> => {
  const inputs = await hashOfInputs()
  const built = await readFile(join(builtFolder, stamp), "utf8").catch(() => "")
  if (built === inputs) return
  await build(builtFolder)
  await writeFile(join(builtFolder, stamp), inputs)
}

const hashOfInputs = async (): Promise<string> => {
  const names = ["index.html", "package.json", "../../package-lock.json"]
  for (const folder of ["src", "public"]) {
    const found = await readdir(join(packageFolder, folder), { recursive: true, withFileTypes: true })
    for (const entry of found) {
      if (entry.isFile()) names.push(relative(packageFolder, join(entry.parentPath, entry.name)))
    }
  }
  const hash = createHash("sha256")
  for (const name of names.sort()) {
    hash.update(`${name}\0`).update(await readFile(join(packageFolder, name)))
  }
  return hash.digest("hex")
}

const compressAll = async (folder: string): Promise<void> => {
  for (const name of await readdir(folder)) {
    const body = await readFile(join(folder, name))
    const size = { [constants.BROTLI_PARAM_SIZE_HINT]: body.length }
    await writeFile(join(folder, `${name}.br`), brotliCompressSync(body, { params: size }))
    await writeFile(join(folder, `${name}.gz`), gzipSync(body, { level: 9 }))
  }
}

/**
 * File by file, the page last: a server that starts meanwhile finds the old console or the new one, and two builds of
 * the same do each other no harm.
 */
const replace = async (folder: string, fresh: string): Promise<void> => {
  const files = await readdir(fresh, { recursive: true, withFileTypes: true })
  const names = files
    .filter((entry) => entry.isFile())
    .map((entry) => relative(fresh, join(entry.parentPath, entry.name)))
  await rm(join(folder, stamp), { force: true })
  await mkdir(join(folder, "assets"), { recursive: true })
  for (const name of names.sort(
    (one, other) => Number(one === "index.html") - Number(other === "index.html")
  )) {
    await rename(join(fresh, name), join(folder, name))
  }
  const kept = new Set(names)
  for (const name of await readdir(join(folder, "assets"))) {
    if (!kept.has(join("assets", name))) await rm(join(folder, "assets", name), { force: true })
  }
}
