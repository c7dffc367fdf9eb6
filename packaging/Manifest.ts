import { readdirSync, readFileSync } from "node:fs"
import { root } from "./Bundles.ts"

/** What packages say of the program. */
const text = (path: string) => readFileSync(`${root}${path}`, "utf8")

// Our own manifest, whose version is text.
const agent = JSON.parse(text("packages/edge-agent/package.json")) as { readonly version: string }

export const manifest = {
  name: "edge-relay",
  version: agent.version,
  summary: "Make a machine behind NAT reachable through Edge Relay",
  licence: "Apache-2.0"
}

/** The licence of the program, and of each npm package that is inside it, by their folders. */
export const licences = (packages: ReadonlyArray<string>): string =>
  [
    `${manifest.name} ${manifest.version}\n\n${text("LICENSE")}`,
    ...packages.toSorted().map((folder) => {
      const found = readdirSync(folder).find((name) => /^licen[cs]e(\.|$)/i.test(name))
      // A package's own manifest, of which npm requires name and version.
      const { license, name, version } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8")) as Npm
      const terms = found === undefined ? (license ?? "") : readFileSync(`${folder}/${found}`, "utf8")
      return `${name} ${version}\n\n${terms}`
    })
  ].join(`\n${"-".repeat(80)}\n\n`)

interface Npm {
  readonly name: string
  readonly version: string
  readonly license?: string
}
