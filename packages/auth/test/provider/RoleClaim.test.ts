import { assert, describe, it } from "@effect/vitest"
import { readRole } from "../../src/provider/RoleClaim.ts"

const map = new Map([
  ["admins", "admin"],
  ["staff", "operator"],
  ["guests", "viewer"]
] as const)

describe("The claim of roles", () => {
  it("gives the highest of what its words stand for", () => {
    const read = (roles: unknown) => readRole({ roles }, { claim: "roles", map })
    assert.strictEqual(read(["guests", "admins", "staff"]), "admin")
    assert.strictEqual(read(["others", "guests"]), "viewer")
    assert.strictEqual(read("staff"), "operator")
  })

  it("gives nobody a role by default, whatever it holds", () => {
    for (const roles of [
      undefined,
      null,
      [],
      ["others"],
      [["admins"]],
      { admins: true },
      7,
      "",
      "admins staff",
      "*"
    ]) {
      assert.isNull(readRole({ roles }, { claim: "roles", map }))
    }
  })

  it("gives everybody that of `*` where there is one, and no less than their own", () => {
    const rules = { claim: "roles", map: new Map([...map, ["*", "viewer"] as const]) }
    assert.strictEqual(readRole({}, rules), "viewer")
    assert.strictEqual(readRole({ roles: ["admins"] }, rules), "admin")
  })

  it("is found by a path, and by a name that has dots itself", () => {
    const at = (claim: string, claims: object) => readRole({ ...claims }, { claim, map })
    assert.strictEqual(at("realm_access.roles", { realm_access: { roles: ["staff"] } }), "operator")
    assert.strictEqual(at("https://example.com/roles", { "https://example.com/roles": ["admins"] }), "admin")
    assert.isNull(at("realm_access.roles", { realm_access: "staff" }))
    assert.isNull(at("constructor.name", {}))
    assert.isNull(at("__proto__.roles", {}))
  })

  it("is not asked for where no roles are configured: everybody is an admin", () => {
    assert.strictEqual(readRole({}, undefined), "admin")
  })
})
