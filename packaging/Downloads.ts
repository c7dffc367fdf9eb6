import { createReadStream, createWriteStream } from "node:fs"
import { mkdir } from "node:fs/promises"
import { basename, join } from "node:path"
import { pipeline } from "node:stream/promises"
import { createGzip } from "node:zlib"
import { debianPackage, hasDebianPackage } from "./DebianPackage.ts"
import type { Target } from "./NodeBinary.ts"
import { npmPackage } from "./NpmPackage.ts"

/** A folder for the api's `DOWNLOADS_DIR`: each executable compressed, the npm package, the Debian packages. */
export const downloads = async (options: {
  readonly executables: ReadonlyMap<Target, string>
  /** As a module, for npm. */
  readonly bundle: string
  readonly licences: string
  readonly folder: string
  readonly scratch: string
}): Promise<ReadonlyArray<string>> => {
  const { bundle, executables, folder, licences, scratch } = options
  await mkdir(folder, { recursive: true })
  const made = [await npmPackage(bundle, licences, folder, scratch)]
  for (const [target, executable] of executables) {
    made.push(await compressed(executable, target, folder))
    if (hasDebianPackage(target)) {
      made.push(await debianPackage({ executable, target, licences, folder, scratch }))
    }
  }
  return made.map((name) => join(folder, name))
}

/** By gzip, which every machine can undo. */
const compressed = async (executable: string, target: Target, folder: string): Promise<string> => {
  const name = `edge-relay-${target}${basename(executable).endsWith(".exe") ? ".exe" : ""}.gz`
  const file = join(folder, name)
  await pipeline(createReadStream(executable), createGzip(), createWriteStream(file))
  return name
}
