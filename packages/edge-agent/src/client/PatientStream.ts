import * as ServiceStreamClient from "@edge-relay/tunnel/client/ServiceStreamClient"
import { Duration, Effect, Schedule } from "effect"
import type { CloudAccess } from "./CloudAccess.ts"

/**
 * A stream to a service, for which it is worth to wait a little: an agent or a server that is restarted is back within
 * seconds, and whoever has connected need not notice.
 */
export const open = Effect.fnUntraced(function* (
  access: CloudAccess,
  to: { readonly edgeId: string; readonly service: string },
  patience: Duration.Duration = defaultPatience
) {
  const { ca, environment, transport, url } = access
  const once = Effect.flatMap(access.token, (token) =>
    ServiceStreamClient.open({ url, token, ca, environment, transport, ...to })
  )
  return yield* Effect.retry(once, {
    while: mayPass,
    schedule: Schedule.exponential("100 millis").pipe(
      Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, maxDelay))),
      Schedule.upTo({ duration: patience })
    )
  })
})

const defaultPatience = Duration.seconds(15)
const maxDelay = Duration.seconds(2)

const passing: ReadonlySet<string | null> = new Set([
  "edge_offline",
  "edge_reset",
  "edge_busy",
  "unavailable",
  "storage_unavailable"
])

const mayPass = (error: { readonly _tag: string }): boolean =>
  error._tag === "CloudUnreachable" ||
  (error instanceof ServiceStreamClient.StreamRefused && passing.has(error.code))
