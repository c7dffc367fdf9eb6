import * as RequestId from "@edge-relay/server-kit/RequestId"
import * as Problem from "@edge-relay/domain/api/Problem"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { STREAM_UPGRADE } from "@edge-relay/protocol/ServiceStream"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"
import { isFinished, reset, splice } from "@edge-relay/tunnel/Splice"
import { Cause, Clock, Effect, Exit, Option, Schema } from "effect"
import type { Duplex } from "node:stream"
import { GatewayAuth } from "../access/GatewayAuth.ts"
import type { Caller } from "../access/Caller.ts"
import type { Asked } from "../exchange/Asked.ts"
import * as GatewayProblem from "../GatewayProblem.ts"
import { Traffic } from "../traffic/Traffic.ts"
import * as ClientEnd from "./ClientEnd.ts"

/**
 * Byte streams to services of edges that need not speak HTTP (`@edge-relay/protocol/ServiceStream`): what may be
 * opened has been decided before. One ends with its caller's session or token, and with this scope.
 */
export interface ServiceStreams {
  readonly open: (asked: Asked, service: string, caller: Caller, refuse: Refuse) => void
}

type Refuse = (problem: GatewayProblem.GatewayProblem) => void

interface Live {
  readonly client: ClientEnd.ClientEnd
  readonly caller: Caller
  bytesTold: number
}

const isEdgeId = Schema.is(EdgeId)
/** As an agent takes them. */
const isService = (name: string): boolean => /^[a-z][a-z0-9-]{0,31}$/.test(name)

const tellMillis = 500
/** Load balancers commonly close what has been silent for a minute. */
const pingMillis = 25_000

export const make = Effect.gen(function* () {
  const auth = yield* GatewayAuth
  const dialer = yield* TunnelDialer
  const traffic = yield* Traffic
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const now = () => clock.currentTimeMillisUnsafe()
  const live = new Set<Live>()

  const tell = (one: Live): void => {
    const bytes = one.client.bytesRead() + one.client.bytesWritten()
    if (bytes > one.bytesTold) traffic.addBytes(one.caller.tenantId, bytes - one.bytesTold)
    one.bytesTold = bytes
  }

  /** Joins both ends, until either breaks off, both have ended, or the caller may no longer. */
  const join = (
    client: ClientEnd.ClientEnd,
    edge: Duplex,
    { path, requestId, route }: Asked,
    caller: Caller,
    startedAt: number
  ): void => {
    const one: Live = { client, caller, bytesTold: 0 }
    let cause: string | null = null
    live.add(one)
    const unwatch = auth.watch(caller, () => {
      cause = "unauthorized"
      client.cut()
      edge.destroy()
    })
    edge.once("close", () => {
      if (!isFinished(edge)) cause ??= client.stream.destroyed ? "client_closed" : "edge_reset"
    })
    client.stream.once("close", () => {
      unwatch()
      live.delete(one)
      tell(one)
      traffic.record({
        tenantId: caller.tenantId,
        edgeId: route.edgeId,
        requestId,
        startedAt,
        method: "GET",
        path,
        status: 101,
        cause,
        millis: now() - startedAt,
        bytesIn: client.bytesWritten(),
        bytesOut: client.bytesRead()
      })
    })
    splice(client.stream, edge)
  }

  const open: ServiceStreams["open"] = (asked, service, caller, refuse) => {
    const { head, request, requestId, response, route, upgraded } = asked
    if (upgraded === undefined || !ClientEnd.isOffered(head.upgrade)) {
      return refuse(
        new Problem.UpgradeRequired({ detail: `Ask with "Upgrade: ${STREAM_UPGRADE}" or by WebSocket.` })
      )
    }
    if (!isEdgeId(route.edgeId)) return refuse(new Problem.EdgeNotFound({}))
    if (!isService(service)) return refuse(new Problem.NotFound({ detail: "No service is called that." }))
    const startedAt = now()
    const fiber = fork(dialer.open(route.edgeId, service).pipe(RequestId.during(requestId)))
    const giveUp = () => fiber.interruptUnsafe()
    response.once("close", giveUp)
    fiber.addObserver((exit) => {
      response.off("close", giveUp)
      if (Exit.isFailure(exit)) return response.destroyed ? undefined : refuse(problemOf(exit.cause))
      const { stream } = exit.value
      if (response.destroyed) return void stream.destroy()
      // Whoever breaks off before the stream is joined.
      stream.on("error", () => undefined)
      ClientEnd.take(request, upgraded, requestId, (client) => join(client, stream, asked, caller, startedAt))
    })
  }

  /** A stream that died is our own fault, and logged. */
  const problemOf = (cause: Cause.Cause<Effect.Error<ReturnType<typeof dialer.open>>>) => {
    const error = Cause.findErrorOption(cause)
    if (Option.isSome(error)) return GatewayProblem.ofDialFailure(error.value.reason)
    fork(Effect.logError("a stream to a service could not be opened", cause))
    return new Problem.InternalError({})
  }

  const every = (millis: number, visit: (one: Live) => void) =>
    Effect.acquireRelease(
      Effect.sync(() => setInterval(() => live.forEach(visit), millis).unref()),
      (timer) => Effect.sync(() => clearInterval(timer))
    )
  yield* every(tellMillis, tell)
  yield* every(pingMillis, ({ client }) => client.ping())
  yield* Effect.addFinalizer(() => Effect.sync(() => live.forEach(({ client }) => reset(client.stream))))

  const streams: ServiceStreams = { open }
  return streams
})
