import { assert, describe, it } from "@effect/vitest"
import { tokenOf } from "../../src/tokens/Bearer.ts"

describe("An Authorization header", () => {
  it("is for us where it bears what has our prefix, good or not", () => {
    for (const header of ["Bearer erp_x", "bearer erp_x", "BEARER  erp_x "]) {
      assert.strictEqual(tokenOf(header), "erp_x")
    }
  })

  it("is somebody else's in every other case", () => {
    const others = [
      "",
      "Bearer",
      "Bearer ",
      "Bearer x",
      "Bearer ert_x",
      "Basic erp_x",
      "erp_x",
      "Bearererp_x"
    ]
    for (const header of [undefined, ...others, "Bearer erp_x erp_y", "Bearer ERP_x"]) {
      assert.isUndefined(tokenOf(header))
    }
  })
})
