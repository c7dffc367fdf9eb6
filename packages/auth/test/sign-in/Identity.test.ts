import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { UserId } from "@edge-relay/domain/ids/UserId"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { tenantId, userId } from "../../src/sign-in/Identity.ts"

describe("the ids of users and tenants", () => {
  it("are the same for the same, for ever", () => {
    // Changing these would give everybody a new identity.
    assert.strictEqual(userId("https://issuer.example", "alice"), "user_7v0nerks5vgjyvc1jmwk8a5tfr")
    assert.strictEqual(
      tenantId("https://issuer.example", "alice", "acme"),
      "tenant_78fspvha0phpn9j1bh24t8tjw6"
    )
  })

  it("are TypeIDs", () => {
    assert.isTrue(Schema.is(UserId)(userId("a", "b")))
    assert.isTrue(Schema.is(TenantId)(tenantId("a", "b", null)))
  })

  it("hold a UUID of version 8", () => {
    const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    let value = 0n
    for (const digit of userId("a", "b").slice("user_".length))
      value = value * 32n + BigInt(alphabet.indexOf(digit))
    assert.match(value.toString(16).padStart(32, "0"), /^[\da-f]{12}8[\da-f]{3}[89ab][\da-f]{15}$/)
  })

  it("differ where issuer, subject or claim do, however they are cut", () => {
    const ids = [
      userId("a", "bc"),
      userId("ab", "c"),
      userId("abc", ""),
      userId("a", 'b","c'),
      userId('a","b', "c")
    ]
    assert.strictEqual(new Set(ids).size, ids.length)
    const tenants = [
      tenantId("a", "b", null),
      tenantId("a", "c", null),
      tenantId("a", "x", "b"),
      tenantId("b", "x", "a"),
      tenantId("a", "x", "")
    ]
    assert.strictEqual(new Set(tenants).size, tenants.length)
    assert.strictEqual(tenantId("a", "x", "b"), tenantId("a", "y", "b"))
  })
})
