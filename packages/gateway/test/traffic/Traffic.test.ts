import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { TestClock } from "effect/testing"
import { type Ended, Traffic } from "../../src/traffic/Traffic.ts"

const tenantId = TenantId.make("tenant_01h00000000000000000000000")
const other = TenantId.make("tenant_01h00000000000000000000001")

const ended = (changes: Partial<Ended> = {}): Ended => ({
  tenantId,
  edgeId: "edge_1",
  requestId: "r",
  startedAt: 0,
  method: "GET",
  path: "/",
  status: 200,
  cause: null,
  millis: 3,
  bytesIn: 10,
  bytesOut: 20,
  ...changes
})

describe("Traffic", () => {
  it.effect("keeps the last 200 requests of each edge, newest first", () =>
    Effect.gen(function* () {
      const traffic = yield* Traffic
      for (let count = 0; count < 450; count++) traffic.record(ended({ path: `/${count}` }))
      traffic.record(ended({ edgeId: "edge_2", path: "/other" }))
      const recent = traffic.recent("edge_1").map(({ path }) => path)
      assert.strictEqual(recent.length, 200)
      assert.deepStrictEqual([recent[0], recent[199]], ["/449", "/250"])
      assert.strictEqual(traffic.recent("edge_2").length, 1)
      assert.deepStrictEqual(traffic.recent("edge_3"), [])
      traffic.forget("edge_1")
      assert.deepStrictEqual(traffic.recent("edge_1"), [])
    }).pipe(Effect.provide(Traffic.layer))
  )

  it.effect("is bounded over all edges: the one that was quiet for longest is forgotten", () =>
    Effect.gen(function* () {
      const traffic = yield* Traffic
      for (let edge = 0; edge < 210; edge++) {
        for (let count = 0; count < 200; count++) traffic.record(ended({ edgeId: `edge_${edge}` }))
        traffic.record(ended({ edgeId: "edge_0" }))
      }
      let kept = 0
      for (let edge = 0; edge < 210; edge++) kept += traffic.recent(`edge_${edge}`).length
      assert.isAtMost(kept, 40_000)
      assert.isAbove(kept, 39_000)
      assert.strictEqual(traffic.recent("edge_0").length, 200)
      assert.strictEqual(traffic.recent("edge_1").length, 0)
    }).pipe(Effect.provide(Traffic.layer))
  )

  it.effect("sums a tenant's last hour up by the minute, and its last ten seconds", () =>
    Effect.gen(function* () {
      const traffic = yield* Traffic
      assert.deepStrictEqual((yield* traffic.stats(tenantId)).lastHour, [])
      for (let minute = 0; minute < 90; minute++) {
        traffic.record(ended({ startedAt: minute * 60_000 }))
        traffic.addBytes(tenantId, minute)
        yield* TestClock.adjust("1 minute")
      }
      traffic.record(ended({ tenantId: other }))
      const { lastHour, requestsPerSecond } = yield* traffic.stats(tenantId)
      assert.strictEqual(lastHour.length, 60)
      assert.strictEqual(lastHour[59]?.at.epochMilliseconds, 90 * 60_000)
      assert.deepStrictEqual(
        lastHour.map(({ requests, bytes }) => [requests, bytes]),
        [...Array.from({ length: 59 }, (_, index) => [1, 31 + index]), [0, 0]]
      )
      assert.strictEqual(requestsPerSecond, 0)
      yield* TestClock.adjust("5 seconds")
      for (let count = 0; count < 30; count++) traffic.record(ended({ startedAt: 90 * 60_000 + 4000 }))
      traffic.addBytes(tenantId, 5000)
      yield* TestClock.adjust("2 seconds")
      const now = yield* traffic.stats(tenantId)
      assert.deepStrictEqual([now.requestsPerSecond, now.bytesPerSecond], [3, 500])
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* traffic.stats(tenantId)).requestsPerSecond, 0)
    }).pipe(Effect.provide(Traffic.layer))
  )

  it.effect("counts by status and cause, and how long it took", () =>
    Effect.gen(function* () {
      const traffic = yield* Traffic
      traffic.record(ended({ status: 299, millis: 7 }))
      traffic.record(ended({ status: 299, millis: 7 }))
      traffic.record(ended({ status: null, cause: "client_closed" }))
      traffic.refused(498, "unauthorized")
      const text = yield* PrometheusMetrics.format()
      assert.match(text, /gateway_requests_total\{[^}]*code="299",cause="none"[^}]*\} 2\n/)
      assert.match(text, /gateway_requests_total\{[^}]*code="none",cause="client_closed"[^}]*\} 1\n/)
      assert.match(text, /gateway_requests_total\{[^}]*code="498",cause="unauthorized"[^}]*\} 1\n/)
      assert.match(text, /gateway_request_duration_seconds_bucket\{[^}]*le="0.01"[^}]*\} /)
    }).pipe(Effect.provide(Traffic.layer))
  )
})
