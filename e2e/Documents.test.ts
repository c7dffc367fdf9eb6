import { assert, describe, it } from "vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { root } from "@edge-relay/testkit/Program"
import { arrows } from "../oxlint.config.ts"

/** The documents say what the repository has: files, packages, arrows. */
const read = (path: string) => readFileSync(`${root}${path}`, "utf8")
const architecture = read("docs/architecture.md")
const packages = readdirSync(`${root}packages`).filter((name) =>
  existsSync(`${root}packages/${name}/package.json`)
)
const documents = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  ...readdirSync(`${root}docs`, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...packages.map((name) => `packages/${name}/README.md`),
  "packages/yamux/BEHAVIOURS.md"
]

/** `name` or `path` in backticks, in a table's cell. */
const quoted = (cell: string) => Array.from(cell.matchAll(/`([^`]+)`/g), ([, name = ""]) => name)

/** Rows of the table below a heading, as cells. */
const rowsBelow = (heading: string) => {
  const [, after = ""] = architecture.split(`${heading}\n`)
  const [section = ""] = after.split(/^#/m)
  return section
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").map((cell) => cell.trim()))
}

describe("docs/architecture.md", () => {
  const files = quoted(architecture).filter((name) => /^[a-z-]+\/[\w./-]+\.ts$/.test(name))

  it("names files", () => assert.isAbove(files.length, 60))

  it.each(files.map((file) => [file]))("names %s, which exists", (file) =>
    assert.isTrue(existsSync(`${root}packages/${file}`), file)
  )

  it("describes every package", () => {
    const described = rowsBelow("## Packages").flatMap(([, name = ""]) => quoted(name))
    assert.deepStrictEqual(described.toSorted(), packages.toSorted())
  })

  it("draws the arrows that the linter enforces", () => {
    const drawn = rowsBelow("### Arrows").map(([, name = "", cell = ""]) => [quoted(name)[0], quoted(cell)])
    assert.deepStrictEqual(
      Object.fromEntries(drawn),
      Object.fromEntries(Object.entries(arrows).map(([name, to]) => [name, [...to]]))
    )
    assert.deepStrictEqual(Object.keys(arrows).toSorted(), packages.toSorted())
  })
})

describe("the documents", () => {
  it.each(documents.map((document) => [document]))(
    "%s exists, and so do the files it links to",
    (document) => {
      const folder = new URL(document, `file://${root}`)
      for (const [, target = ""] of read(document).matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
        assert.isTrue(existsSync(new URL(target, folder)), target)
      }
    }
  )

  it.each(packages.map((name) => [name]))(
    "%s has a README of some ten lines that says what it never does",
    (name) => {
      const readme = read(`packages/${name}/README.md`)
      assert.include(readme.split("\n")[0], `# ${name}`)
      assert.include(readme, "Never")
      assert.include(readme, "Tests")
    }
  )
})
