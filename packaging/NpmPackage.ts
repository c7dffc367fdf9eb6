import { execFile } from "node:child_process"
import { copyFile, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { manifest } from "./Manifest.ts"

const run = promisify(execFile)

/**
 * `npx edge-relay`: the bundle with a `bin` and no dependency, so that an installation fetches one package and runs no
 * script. Answers the packed file's name.
 */
export const npmPackage = async (
  bundle: string,
  licences: string,
  folder: string,
  scratch: string
): Promise<string> => {
  const contents = join(scratch, "npm")
  await mkdir(contents, { recursive: true })
  await copyFile(bundle, join(contents, "edge-relay.mjs"))
  await writeFile(join(contents, "LICENSE"), licences)
  await writeFile(join(contents, "README.md"), readme)
  await writeFile(
    join(contents, "package.json"),
    JSON.stringify(
      {
        name: manifest.name,
        version: manifest.version,
        description: manifest.summary,
        license: manifest.licence,
        type: "module",
        bin: { "edge-relay": "edge-relay.mjs" },
        // What Effect's platform package asks for.
        engines: { node: ">=22.19.0" }
      },
      null,
      2
    )
  )
  await run("npm", ["pack", contents, "--silent", "--pack-destination", folder])
  return `${manifest.name}-${manifest.version}.tgz`
}

const readme = `# edge-relay

${manifest.summary}. The console of your Edge Relay shows the command that pairs a machine:

    npx edge-relay pair CODE --url https://relay.example.com
    npx edge-relay run

\`npx edge-relay --help\` has the rest.
`
