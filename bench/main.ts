import { spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"

/** `npm run bench [-- NAME [arguments]]`: runs the measurement of that folder's name, or all of them in turn. */

const [name, ...rest] = process.argv.slice(2)
const known = readdirSync(import.meta.dirname).filter((folder) =>
  existsSync(join(import.meta.dirname, folder, "main.ts"))
)

if (name !== undefined && !known.includes(name)) {
  process.stderr.write(`there is no measurement ${name}: ${known.join(", ")}\n`)
  process.exit(2)
}

for (const folder of name === undefined ? known : [name]) {
  process.stdout.write(`\n== ${folder}\n\n`)
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, folder, "main.ts"), ...rest], {
    stdio: "inherit"
  })
  if (status !== 0) process.exitCode = 1
}
