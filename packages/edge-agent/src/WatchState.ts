import { Effect, Equal, Redacted } from "effect"
import { AgentState, type Credentials } from "./AgentState.ts"

/** Between two looks at the file: it is replaced as a whole, on whatever file system, by whoever runs a command. */
const LOOK_MILLIS = 1_000

/**
 * Until the credentials are another edge's, or another way to the cloud, which are answered. Services that change
 * are told. Fails with NotPaired once the file is gone; while it cannot be read, what was read before counts.
 */
export const watch = Effect.fnUntraced(function* (
  first: Credentials,
  onServices: (changed: Credentials) => Effect.Effect<void>
) {
  const state = yield* AgentState
  let current = first
  let isUnusable = false
  while (true) {
    yield* Effect.sleep(LOOK_MILLIS)
    const read = yield* Effect.result(state.read)
    if (read._tag === "Failure") {
      if (read.failure._tag === "NotPaired") return yield* read.failure
      if (!isUnusable) yield* Effect.logWarning(`${read.failure.message}: going on with what was read before`)
      isUnusable = true
      continue
    }
    isUnusable = false
    const now = read.success
    if (!isSameEdge(now, current)) return now
    if (!Equal.equals(now.services, current.services)) yield* onServices(now)
    current = now
  }
})

const isSameEdge = (one: Credentials, other: Credentials): boolean =>
  one.edgeId === other.edgeId &&
  one.cloudUrl === other.cloudUrl &&
  one.tunnelUrl === other.tunnelUrl &&
  one.caFile === other.caFile &&
  Redacted.value(one.token) === Redacted.value(other.token)
