import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Download } from "./Downloads.ts"

/** `install.sh` as it lies beside this module, and beside the bundle of it. */
const template = readFileSync(fileURLToPath(new URL("./install.sh", import.meta.url)), "utf8")

/** What a machine runs to be paired with the server of that origin: it knows what is offered, and each file's hash. */
export const render = (origin: string, files: ReadonlyArray<Download>): string =>
  template
    .replace("@ORIGIN@", () => origin)
    .replace("@FILES@", () => files.map(({ name, sha256 }) => `${sha256}  ${name}`).join("\n"))

/** One line for a bare machine: fetch, install, pair, keep running. */
export const command = (origin: string, code: string): string =>
  `curl -fsSL ${origin}/install.sh | sh -s -- ${code}`
