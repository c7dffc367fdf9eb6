import { EdgeInfo, EdgeMetrics, Restart } from "@edge-relay/domain/edge-api/System"
import { DateTime, Effect, Schedule } from "effect"
import { ConformanceClient } from "./EdgeClient.ts"
import { expect, json, problem, within } from "./Expectations.ts"
import { ConformanceReport } from "./Report.ts"

export const checkSystem = Effect.fn("checkSystem")(function* (destructive: boolean) {
  const client = yield* ConformanceClient
  const { check, skip } = yield* ConformanceReport
  const get = (path: string, headers = {}) => client.ask({ method: "GET", path, headers })
  const info = Effect.flatMap(get("/system/info"), (answer) => json(answer, 200, EdgeInfo))

  const before = yield* check("edgeSystem.info", "tells what the edge is", info)
  yield* check(
    "edgeSystem.info",
    "gives back the caller's X-Request-Id, and makes one where there is none",
    Effect.gen(function* () {
      const named = yield* get("/system/info", { "x-request-id": "conformance-1" })
      const given = named.headers["x-request-id"]
      yield* expect(given === "conformance-1", `expected conformance-1, got ${given}`)
      const unnamed = yield* get("/system/info")
      yield* expect(/^[\x21-\x7e]{1,128}$/.test(unnamed.headers["x-request-id"] ?? ""), "none came")
    })
  )
  yield* check(
    "edgeSystem.info",
    "answers 404 beside the contract",
    Effect.flatMap(get("/no/such/path"), (answer) => problem(answer, "not_found"))
  )
  yield* check(
    "edgeSystem.metrics",
    "tells how it does",
    Effect.flatMap(get("/system/metrics"), (answer) => json(answer, 200, EdgeMetrics))
  )
  if (!destructive) return yield* skip("edgeSystem.restart", "restarts", "only with --destructive")
  yield* check(
    "edgeSystem.restart",
    "restarts, and is back within a minute of when it said",
    Effect.gen(function* () {
      const answer = yield* client.ask({ method: "POST", path: "/system/restart" })
      const { downSeconds } = yield* json(answer, 202, Restart)
      const isNew = Effect.flatMap(info, (after) =>
        expect(
          before === undefined ||
            DateTime.toEpochMillis(after.startedAt) > DateTime.toEpochMillis(before.startedAt),
          "startedAt is still the old one"
        )
      )
      yield* within(Effect.retry(isNew, Schedule.spaced("200 millis")), "a new startedAt", downSeconds + 60)
    })
  )
})
