import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, Redacted, Stream } from "effect"
import { WebSocket } from "ws"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"
import { eventually, eventuallyEffect } from "@edge-relay/testkit/Eventually"
import { startRelay } from "@edge-relay/testkit/TcpRelay"
import { bytesAt, fetchThrough, sha256, startOrigin } from "@edge-relay/testkit/proxy/ProxyOrigin"
import { startProxy } from "@edge-relay/testkit/proxy/ProxyProcess"
import { startDatabase } from "@edge-relay/testkit/proxy/TestDatabase"
import { ask, internalKey } from "@edge-relay/testkit/proxy/TestProxyServer"

/** Asks the proxies themselves: the one that has the edge registered, else the first. */
const directoryOf = (proxies: ReadonlyArray<string>) =>
  Layer.succeed(SessionDirectory, {
    claim: (edgeId: EdgeId) => Effect.succeed({ edgeId, fence: 0 }),
    release: () => Effect.succeed(false),
    locate: Effect.fnUntraced(function* (edgeId) {
      for (const url of proxies) {
        const found = yield* ask(`${url}/internal/sessions/${edgeId}`).pipe(
          Effect.map(({ status }) => status === 200),
          Effect.catchCause(() => Effect.succeed(false))
        )
        if (found) return Option.some(url)
      }
      return Option.fromNullishOr(proxies[0])
    }),
    claims: Stream.never,
    proxies: Effect.succeed(proxies),
    isAccepting: Effect.succeed(true)
  })

describe("SIGTERM", () => {
  it.live(
    "with a download and a WebSocket in flight, and work that goes on, fails not one request",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const { edgeId, token } = yield* database.newEdge("box")
        const origin = yield* startOrigin
        const [first, second] = [yield* startProxy(database), yield* startProxy(database)]
        // A load balancer, which sends new connections to whichever is ready.
        let target = first.tunnelPort
        const balancer = yield* startRelay(() => target)
        yield* Effect.forkScoped(
          TunnelClient.run({
            url: `ws://127.0.0.1:${balancer.port}`,
            token: Redacted.make(token),
            services: new Map([["http", { host: "127.0.0.1", port: origin.port }]])
          })
        )
        const dialer = Context.get(
          yield* Layer.build(
            TunnelDialer.layerRemote({ internalKey: Redacted.make(internalKey) }).pipe(
              Layer.provide(directoryOf([first.internalUrl, second.internalUrl]))
            )
          ),
          TunnelDialer
        )
        const isAt = ({ internalUrl }: typeof first) =>
          Effect.map(ask(`${internalUrl}/internal/sessions/${edgeId}`), ({ status }) => status === 200)
        yield* eventuallyEffect("online at the first", isAt(first))

        // 20 MB, read in steps that last until the drain is well under way.
        const reading = { received: 0, mayGoOn: false }
        const size = 20_000_000
        const download = yield* Effect.forkChild(
          fetchThrough(dialer, edgeId, `/bytes/${size}`, async (chunk) => {
            reading.received += chunk.length
            while (reading.received > 5_000_000 && !reading.mayGoOn)
              await new Promise((resolve) => setTimeout(resolve, 10))
          }),
          { startImmediately: true }
        )
        const { stream } = yield* dialer.open(edgeId, "http")
        const webSocket = new WebSocket("ws://edge/", { createConnection: () => stream })
        const echoes: Array<string> = []
        webSocket.on("message", (data) => echoes.push(String(data)))
        yield* eventually("an open WebSocket", () => webSocket.readyState === WebSocket.OPEN)
        yield* eventually("a download in flight", () => reading.received > 5_000_000)

        const working = { done: 0, isOver: false }
        const work = yield* Effect.forkChild(
          Effect.gen(function* () {
            while (!working.isOver) {
              const { body } = yield* fetchThrough(dialer, edgeId, "/")
              assert.strictEqual(String(body), "hello")
              working.done++
            }
          }),
          { startImmediately: true }
        )
        yield* eventually("work", () => working.done > 5)

        target = second.tunnelPort
        const stopped = first.program.stop("SIGTERM")
        const readyz = Effect.map(ask(`${first.internalUrl}/readyz`), ({ status }) => status)
        yield* eventuallyEffect(
          "not ready",
          Effect.map(readyz, (status) => status === 503)
        )
        yield* eventuallyEffect("online at the second", isAt(second))
        const doneBefore = working.done
        yield* eventually("work at the second", () => working.done > doneBefore + 5)
        webSocket.send("still here")
        yield* eventually("an echo", () => echoes.includes("still here"))
        reading.mayGoOn = true
        const { body } = yield* Fiber.join(download)
        assert.strictEqual(sha256(body), sha256(bytesAt(0, size)))
        webSocket.close()

        assert.strictEqual(yield* Effect.promise(() => stopped), 0)
        working.isOver = true
        yield* Fiber.join(work)
        assert.strictEqual(String((yield* fetchThrough(dialer, edgeId, "/")).body), "hello")
      }),
    60_000
  )

  it.live(
    "without a second proxy ends soon where nothing is in flight",
    () =>
      Effect.gen(function* () {
        const database = yield* startDatabase
        const proxy = yield* startProxy(database)
        assert.strictEqual(yield* Effect.promise(() => proxy.program.stop("SIGTERM")), 0)
      }),
    60_000
  )
})
