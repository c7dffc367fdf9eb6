import { assert, describe, it } from "@effect/vitest"
import { FailedHandshakes } from "@edge-relay/tunnel/proxy/FailedHandshakes"

describe("FailedHandshakes", () => {
  it("stops an address at its limit, until the window ends", () => {
    const failed = new FailedHandshakes(2, 1_000)
    failed.record("192.0.2.1", 0)
    assert.strictEqual(failed.retryAfterMillis("192.0.2.1", 0), 0)
    failed.record("192.0.2.1", 400)
    assert.strictEqual(failed.retryAfterMillis("192.0.2.1", 400), 600)
    assert.strictEqual(failed.retryAfterMillis("192.0.2.2", 400), 0)
    assert.strictEqual(failed.retryAfterMillis("192.0.2.1", 1_000), 0)
    failed.record("192.0.2.1", 1_000)
    assert.strictEqual(failed.retryAfterMillis("192.0.2.1", 1_000), 0)
  })

  it("counts a /64 of IPv6 as one, however it is written", () => {
    const failed = new FailedHandshakes(1, 1_000)
    failed.record("2001:db8:1:2::1", 0)
    assert.strictEqual(failed.retryAfterMillis("2001:db8:1:2:3:4:5:6", 0), 1_000)
    assert.strictEqual(failed.retryAfterMillis("2001:db8:1:3::1", 0), 0)
    failed.record("::1", 0)
    assert.strictEqual(failed.retryAfterMillis("::ffff:192.0.2.1", 0), 0)
  })

  it("remembers a bounded number of addresses, the latest ones", () => {
    const failed = new FailedHandshakes(1, 1_000)
    for (let host = 0; host < 100_000; host++)
      failed.record(`10.${host >> 16}.${(host >> 8) & 255}.${host & 255}`, 0)
    assert.strictEqual(failed.retryAfterMillis("10.0.0.0", 0), 0)
    assert.strictEqual(failed.retryAfterMillis("10.1.134.159", 0), 1_000)
  })
})
