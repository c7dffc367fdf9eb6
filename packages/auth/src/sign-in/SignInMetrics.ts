import { Effect, Metric } from "effect"

/** What is counted of sign-in. The causes of failures are few and fixed: nothing a caller sends is a label. */

const begun = Metric.counter("sign_ins_begun_total", {
  description: "Sign-ins begun",
  incremental: true
})
const done = Metric.counter("sign_ins_done_total", { description: "Sign-ins done", incremental: true })
const failed = Metric.counter("sign_ins_failed_total", {
  description: "Sign-ins that failed, by cause",
  incremental: true
})
const ended = Metric.counter("sign_in_sessions_ended_total", {
  description: "Signed-in sessions that were ended, by reason",
  incremental: true
})
const refreshes = Metric.counter("sign_in_refreshes_total", {
  description: "Refreshes of the provider's tokens, by outcome",
  incremental: true
})
const backchannel = Metric.counter("backchannel_logouts_total", {
  description: "Back-channel logout calls, by outcome",
  incremental: true
})
const live = Metric.gauge("sign_in_sessions", { description: "Signed-in sessions that are live" })

export const signInBegun = Metric.update(begun, 1)
export const signInDone = Metric.update(done, 1)
export const signInFailed = (cause: string) => Metric.update(Metric.withAttributes(failed, { cause }), 1)
export const sessionsEnded = (reason: string, count: number) =>
  count === 0 ? Effect.void : Metric.update(Metric.withAttributes(ended, { reason }), count)
export const refreshed = (outcome: "done" | "refused" | "unavailable") =>
  Metric.update(Metric.withAttributes(refreshes, { outcome }), 1)
export const backchannelCalled = (outcome: "done" | "refused") =>
  Metric.update(Metric.withAttributes(backchannel, { outcome }), 1)
export const sessionsLive = (count: number) => Metric.update(live, count)
