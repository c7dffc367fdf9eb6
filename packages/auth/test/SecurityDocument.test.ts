import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

/** What `docs/security.md` says is held by a test is held by a test that is there. */
const root = new URL("../../../", import.meta.url)
const document = readFileSync(new URL("docs/security.md", root), "utf8")

const files = new Map(
  Array.from(document.matchAll(/^\| (\w+) +\| `([^`]+)` +\|$/gm), ([, name = "", path = ""]) => [
    name,
    readFileSync(new URL(path, root), "utf8")
  ])
)

const references = Array.from(document.matchAll(/\b([A-Z]\w+) "([^"]+)"/g), ([, file = "", name = ""]) => ({
  file,
  name
}))

describe("docs/security.md", () => {
  it("names tests that there are", () => {
    assert.isAbove(references.length, 100)
    for (const { file, name } of references) {
      const source = files.get(file)
      assert.isDefined(source, `no file is called ${file}`)
      // Names that tests of a kind share are made from the part that differs.
      assert.include(source, name, `${file} has no test "${name}"`)
    }
  })

  it("speaks of every requirement of the three chapters", () => {
    const counts = {
      // ASVS 5.0: requirements in each section.
      3: [1, 2, 5, 7, 7, 1, 5],
      7: [3, 4, 2, 5, 3, 2],
      10: [2, 3, 5, 16, 5, 2, 3]
    }
    const rows = Array.from(document.matchAll(/^\| (\d[\d.–, ]+)\|/gm), ([, ids = ""]) => ids)
    const named = new Set(
      rows.flatMap((ids) =>
        ids.split(", ").flatMap((range) => {
          const [from = "", to = from] = range.trim().split("–")
          const section = from.slice(0, from.lastIndexOf("."))
          const [first, last] = [from, to].map((id) => Number(id.slice(id.lastIndexOf(".") + 1)))
          return Array.from(
            { length: (last ?? 0) - (first ?? 0) + 1 },
            (_, index) => `${section}.${(first ?? 0) + index}`
          )
        })
      )
    )
    for (const [chapter, sections] of Object.entries(counts)) {
      for (const [index, count] of sections.entries()) {
        for (let number = 1; number <= count; number++) {
          const id = `${chapter}.${index + 1}.${number}`
          assert.isTrue(named.has(id), `${id} is missing`)
        }
      }
    }
  })
})
