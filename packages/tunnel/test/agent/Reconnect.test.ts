import { assert, describe, it } from "@effect/vitest"
import { defaultReconnect, type Ending, parseRetryAfter, Reconnect } from "@edge-relay/tunnel/agent/Reconnect"

const closed = (code: number, stoodMillis = 0): Ending => ({ _tag: "closed", code, reason: "", stoodMillis })
const failed: Ending = { _tag: "failed", message: "connect ECONNREFUSED" }
const refused = (status: number, code?: string, retryAfterMillis?: number): Ending => ({
  _tag: "refused",
  status,
  code,
  retryAfterMillis
})

/** With `random` 1 a delay is the longest that it can be. */
const make = (random = 1) => new Reconnect(defaultReconnect, () => random)

const millis = (reconnect: Reconnect, ending: Ending) => {
  const next = reconnect.next(ending)
  return next._tag === "wait" ? next.millis : next._tag
}

describe("Reconnect", () => {
  it("backs off from half a second, doubling to half a minute", () => {
    const reconnect = make()
    const delays = Array.from({ length: 9 }, () => millis(reconnect, failed))
    assert.deepStrictEqual(delays, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  })

  it("takes any delay from nothing up to that (full jitter)", () => {
    assert.strictEqual(millis(make(0), failed), 0)
    assert.strictEqual(millis(make(0.5), failed), 250)
  })

  it("stays finite after years of failures", () => {
    const reconnect = make()
    for (let tries = 0; tries < 10_000; tries++) reconnect.next(failed)
    assert.strictEqual(millis(reconnect, failed), 30_000)
  })

  it("starts over once a tunnel has stood for a minute, and not before", () => {
    const reconnect = make()
    for (let tries = 0; tries < 5; tries++) reconnect.next(failed)
    assert.strictEqual(millis(reconnect, closed(1006, 59_999)), 16_000)
    assert.strictEqual(millis(reconnect, closed(1006, 60_000)), 500)
  })

  it("comes back at once after 1001, and backs off where that is all it is told", () => {
    const reconnect = make()
    assert.strictEqual(millis(reconnect, closed(1001, 60_000)), 0)
    assert.strictEqual(millis(reconnect, closed(1001)), 1_000)
    assert.strictEqual(millis(reconnect, closed(1001)), 2_000)
    assert.strictEqual(millis(reconnect, closed(1001, 60_000)), 0)
  })

  it("waits a minute, give or take half of it, after another machine took over", () => {
    assert.deepStrictEqual(make(0).next(closed(4001)), { _tag: "wait", millis: 30_000, displaced: true })
    assert.deepStrictEqual(make(1).next(closed(4001)), { _tag: "wait", millis: 90_000, displaced: true })
  })

  it("stops when the token is revoked", () => {
    assert.strictEqual(make().next(closed(4003))._tag, "stop")
    assert.strictEqual(make().next(refused(401, "unauthorized"))._tag, "stop")
  })

  it("does not stop for a 401 that is not the cloud's own", () => {
    assert.strictEqual(millis(make(), refused(401)), 500)
  })

  it("backs off after every other code", () => {
    for (const code of [1000, 1006, 4008, 4009, 4013, 4999]) {
      assert.strictEqual(millis(make(), closed(code)), 500)
    }
  })

  it("waits at least as long as Retry-After says", () => {
    assert.strictEqual(millis(make(0), refused(503, "unavailable", 7_000)), 7_000)
    assert.strictEqual(millis(make(1), refused(429, "too_many_requests", 7_000)), 7_500)
  })

  it("waits as long as a draining cloud asks for", () => {
    assert.strictEqual(millis(make(), { _tag: "draining", afterMillis: 123, stoodMillis: 5 }), 123)
  })
})

describe("parseRetryAfter", () => {
  it("reads seconds and dates, and nothing else", () => {
    const now = Date.UTC(2026, 0, 1)
    assert.strictEqual(parseRetryAfter("120", now), 120_000)
    assert.strictEqual(parseRetryAfter("Thu, 01 Jan 2026 00:00:30 GMT", now), 30_000)
    assert.strictEqual(parseRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", now), 0)
    assert.isUndefined(parseRetryAfter("soon", now))
    assert.isUndefined(parseRetryAfter(undefined, now))
  })
})
