import { assert, describe, it } from "@effect/vitest"
import { shownName } from "../../src/pairing/ShownName.ts"

describe("a name as it is shown", () => {
  it("is what it is, where all of it can be seen and told apart", () => {
    for (const name of [
      "edge-01.example",
      "Kamera Süd 3",
      "カメラ 南",
      "攝影機-3",
      "камера 3",
      "κάμερα",
      "l1O0|"
    ]) {
      assert.strictEqual(shownName(name), name)
    }
  })

  it("names what cannot be seen", () => {
    for (const hidden of [
      "200B",
      "200C",
      "200D",
      "2060",
      "FEFF",
      "00AD",
      "034F",
      "3164",
      "2800",
      "00A0",
      "E0041"
    ]) {
      const character = String.fromCodePoint(Number.parseInt(hidden, 16))
      assert.strictEqual(shownName(`edge${character}01`), `edge[U+${hidden}]01`)
    }
  })

  it("names letters that look like others beside them", () => {
    assert.strictEqual(shownName("\u0435dge"), "\u0435[U+0435]dge")
    assert.strictEqual(shownName("edg\u03b5"), "edg\u03b5[U+03B5]")
    assert.strictEqual(shownName("\u0430\u03b1"), "\u0430[U+0430]\u03b1[U+03B1]")
    assert.strictEqual(shownName("\uff45dge"), "\uff45[U+FF45]dge")
    assert.strictEqual(shownName("\u{1d41e}dge"), "\u{1d41e}[U+1D41E]dge")
  })
})
