import { assert, describe, it } from "@effect/vitest"
import { sharedAddress } from "../src/SharedAddress.ts"

describe("sharedAddress", () => {
  it("is an IPv4 address itself, however it is written", () => {
    for (const address of ["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:192.0.2.1", "::ffff:c000:201"]) {
      assert.strictEqual(sharedAddress(address), "192.0.2.1", address)
    }
    assert.notStrictEqual(sharedAddress("::ffff:192.0.2.1"), sharedAddress("::ffff:192.0.2.2"))
  })

  it("is the /64 of an IPv6 address, however it is written", () => {
    for (const address of [
      "2001:db8:1:2::1",
      "2001:DB8:1:2:3:4:5:6",
      "2001:0db8:0001:0002::",
      "2001:db8:1:2:3:4:192.0.2.1"
    ]) {
      assert.strictEqual(sharedAddress(address), "2001:db8:1:2", address)
    }
    assert.strictEqual(sharedAddress("2001:db8::2:0:0:0:1"), "2001:db8:0:2")
    assert.strictEqual(sharedAddress("2001:db8::1"), "2001:db8:0:0")
    assert.notStrictEqual(sharedAddress("2001:db8:1:3::1"), sharedAddress("2001:db8:1:2::1"))
    assert.strictEqual(sharedAddress("fe80::1%eth0"), "fe80:0:0:0")
    assert.strictEqual(sharedAddress("::1"), "0:0:0:0")
  })

  it("is whatever stands in an address's place", () => {
    for (const address of ["", "unknown", "localhost"]) assert.strictEqual(sharedAddress(address), address)
  })
})
