import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { example, parse } from "../src/RoleMap.ts"

const read = (value: string) => Array.from(Result.getOrThrow(parse(value)))

describe("OIDC_ROLE_MAP", () => {
  it("is words and roles", () => {
    assert.deepStrictEqual(read(example), [
      ["relay-admins", "admin"],
      ["relay-staff", "operator"],
      ["*", "viewer"]
    ])
    assert.deepStrictEqual(read(" CN=Ops = admin "), [["CN=Ops", "admin"]])
  })

  it("is refused with a role that there is not, and without a word", () => {
    for (const value of ["", "admins", "admins=root", "=admin", "a=admin,", "a=ADMIN"]) {
      assert.isTrue(Result.isFailure(parse(value)), value)
    }
  })
})
