import { execFile } from "node:child_process"
import { rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { host, nodeBinary, type Target } from "./NodeBinary.ts"

const run = promisify(execFile)

/**
 * Makes `file`: Node with the bundle inside (Node's single executable applications, `node --build-sea`). What V8
 * makes of the source is kept beside it for a faster start, where this machine can make it: a cache is of one
 * architecture.
 */
export const executable = async (
  bundle: string,
  target: Target,
  file: string,
  scratch: string
): Promise<void> => {
  const node = await nodeBinary(target, scratch)
  const configuration = join(scratch, `${target}.json`)
  await writeFile(
    configuration,
    JSON.stringify({
      main: bundle,
      mainFormat: "commonjs",
      executable: node,
      output: file,
      disableExperimentalSEAWarning: true,
      useCodeCache: target === host()
    })
  )
  await run(process.execPath, ["--build-sea", configuration])
  await rm(node)
  // Apple's loader wants a signature of everything that it runs, if only one of nobody (Mach-O, arm64).
  if (target.startsWith("darwin")) {
    if (process.platform === "darwin") await run("codesign", ["--sign", "-", "--force", file])
    else console.log(`${target}: not signed; on a Mac: codesign --sign - ${file}`)
  }
}
