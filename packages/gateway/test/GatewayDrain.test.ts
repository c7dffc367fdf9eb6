import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Redacted, Stream } from "effect"
import { startProxy } from "@edge-relay/testkit/proxy/ProxyProcess"
import { startDatabase } from "@edge-relay/testkit/proxy/TestDatabase"
import { ask as askProxy, internalKey } from "@edge-relay/testkit/proxy/TestProxyServer"
import { eventuallyEffect } from "@edge-relay/testkit/Eventually"
import { startRelay } from "@edge-relay/testkit/TcpRelay"
import * as PresenceRemote from "@edge-relay/server-api/presence/PresenceRemote"
import { ask, eventually, httpOrigin, TestEdges, TestGateway } from "@edge-relay/testkit/gateway/TestGateway"

/** Asks the proxies themselves: the one that has the edge registered, else the first. */
const directoryOf = (proxies: ReadonlyArray<string>) =>
  Layer.succeed(SessionDirectory, {
    claim: (edgeId: EdgeId) => Effect.succeed({ edgeId, fence: 0 }),
    release: () => Effect.succeed(false),
    locate: Effect.fnUntraced(function* (edgeId) {
      for (const url of proxies) if (yield* isOnline(url, edgeId)) return Option.some(url)
      return Option.fromNullishOr(proxies[0])
    }),
    claims: Stream.never,
    proxies: Effect.succeed(proxies),
    isAccepting: Effect.succeed(true)
  })

const isOnline = (url: string, edgeId: EdgeId) =>
  askProxy(`${url}/internal/sessions/${edgeId}`).pipe(
    Effect.map(({ status }) => status === 200),
    Effect.catchCause(() => Effect.succeed(false))
  )

describe("Gateway, while a proxy drains", () => {
  it.live(
    "fails not one request, and keeps the proxy from stopping no longer than the edge needs to move",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const { edgeId, token } = yield* database.newEdge("box")
        const port = yield* httpOrigin((request, response) => {
          // For a moment, so that some are always under way.
          request.resume().once("end", () => setTimeout(() => response.end("ok"), 20))
        })
        // What is under way when it is over is cut off.
        const drainSeconds = 600
        const first = yield* startProxy(database, { DRAIN_SECONDS: String(drainSeconds) })
        const second = yield* startProxy(database)
        // A load balancer, which sends new connections to whichever is ready.
        let target = first.tunnelPort
        const balancer = yield* startRelay(() => target)
        yield* Effect.forkScoped(
          TunnelClient.run({
            url: `ws://127.0.0.1:${balancer.port}`,
            token: Redacted.make(token),
            services: new Map([["http", { host: "127.0.0.1", port }]])
          })
        )
        yield* eventuallyEffect("online at the first", isOnline(first.internalUrl, edgeId))
        const directory = directoryOf([first.internalUrl, second.internalUrl])
        const cluster = Layer.mergeAll(
          TunnelDialer.layerRemote({ internalKey: Redacted.make(internalKey) }),
          PresenceRemote.layer({ internalKey: Redacted.make(internalKey) }).pipe(
            Layer.provide(NodeHttpClient.layerUndici)
          ),
          Layer.sync(TestEdges, () => new Map())
        ).pipe(Layer.provide(directory))

        yield* Effect.gen(function* () {
          const gateway = yield* TestGateway
          yield* gateway.addEdge(port, "v2", edgeId)
          const path = `/api/edges/${edgeId}/http/`
          const failed: Array<string> = []
          const working = { done: 0, isOver: false }
          const work = (method: string) =>
            Effect.gen(function* () {
              while (!working.isOver) {
                const answer = yield* ask(gateway, path, { method, body: method === "POST" ? "body" : "" })
                if (answer.status !== 200 || answer.broken) failed.push(`${answer.status} ${answer.body}`)
                working.done++
              }
            })
          const workers = yield* Effect.forkChild(
            Effect.forEach(["GET", "POST", "POST", "POST"], work, { concurrency: "unbounded" }),
            { startImmediately: true }
          )
          // More streams than are busy from then on: the others are idle when the proxy is told to stop.
          yield* Effect.forEach(
            Array.from({ length: 10 }),
            () => ask(gateway, path, { method: "POST", body: "a" }),
            {
              concurrency: "unbounded"
            }
          )
          yield* eventually("work", () => working.done > 50)

          target = second.tunnelPort
          // It ends when its streams have, and not when time is up, which this test would not outlast.
          const stopped = first.program.stop("SIGTERM")
          yield* eventuallyEffect("online at the second", isOnline(second.internalUrl, edgeId))
          assert.strictEqual(yield* Effect.promise(() => stopped), 0)
          const done = working.done
          yield* eventually("work at the second alone", () => working.done > done + 50)
          working.isOver = true
          yield* Fiber.join(workers)
          assert.deepStrictEqual(failed, [])
        }).pipe(Effect.provide(TestGateway.layer({}, Layer.orDie(cluster))))
      }).pipe(Effect.scoped),
    60_000
  )
})
