import { assert, describe, it } from "vitest"
import { readdirSync, readFileSync } from "node:fs"

/** `BEHAVIOURS.md` and the tests are two lists of the same numbers. */
const packages = new URL("../../", import.meta.url)
const document = readFileSync(new URL("yamux/BEHAVIOURS.md", packages), "utf8")
const defined = Array.from(document.matchAll(/^- (Y\d+) /gm), ([, number = ""]) => number)

/** The engine's own tests, and those of the transport that carries it in a tunnel. */
const tests = ["yamux/test/", "tunnel/test/websocket/"].flatMap((folder) =>
  readdirSync(new URL(folder, packages), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => readFileSync(new URL(folder + name, packages), "utf8"))
)
const named = new Set(
  tests.flatMap((source) => Array.from(source.matchAll(/["`](Y\d+) /g), ([, number = ""]) => number))
)

describe("BEHAVIOURS.md", () => {
  it("defines each behaviour once, in order", () => {
    const numbers = defined.map((number) => Number(number.slice(1)))
    assert.deepStrictEqual(
      numbers,
      numbers.map((_, index) => index + 1)
    )
    assert.isAtLeast(numbers.length, 106)
  })

  it("defines what tests name, and has a test for what it defines", () => {
    assert.deepStrictEqual([...named].toSorted(), defined.toSorted())
  })
})
