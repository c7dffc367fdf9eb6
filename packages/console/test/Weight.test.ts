import { assert, describe, it } from "vitest"
import { builtFolder, ensureBuilt } from "@edge-relay/console/build/Build"
import { readFile, readdir, stat } from "node:fs/promises"

/** What a first visit loads: the page's own scripts, and those that it says will be needed at once. */
const firstScripts = async (): Promise<ReadonlyArray<string>> => {
  const page = await readFile(`${builtFolder}/index.html`, "utf8")
  return Array.from(page.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g), ([, path = ""]) => path)
}

describe("the console as it is built", () => {
  it("has at most 150 KiB of JavaScript on its first page, compressed either way", async () => {
    const scripts = await firstScripts()
    assert.isNotEmpty(scripts)
    for (const coding of ["br", "gz"]) {
      const sizes = await Promise.all(scripts.map((path) => stat(`${builtFolder}/${path}.${coding}`)))
      const bytes = sizes.reduce((sum, { size }) => sum + size, 0)
      assert.isAtMost(bytes / 1024, 150, coding)
    }
  })

  it("has nothing of the contract's schemas in it, nor of what renders on servers", async () => {
    for (const name of await readdir(`${builtFolder}/assets`)) {
      if (!name.endsWith(".js")) continue
      const source = await readFile(`${builtFolder}/assets/${name}`, "utf8")
      for (const mark of ["effect/Schema", "Googlebot", "react-dom/server"]) assert.notInclude(source, mark)
    }
  })

  it("is built once for the same sources", async () => {
    const { mtimeMs } = await stat(`${builtFolder}/index.html`)
    await ensureBuilt()
    assert.strictEqual((await stat(`${builtFolder}/index.html`)).mtimeMs, mtimeMs)
  })
})
