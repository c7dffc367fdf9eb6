import { duplexPair } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { type CloseReason, type TunnelHandle } from "@edge-relay/domain/tunnels/SessionStore"
import { askJson, startServer } from "@edge-relay/testkit/proxy/TestProxyServer"
import { tokenOf } from "@edge-relay/testkit/TestTokens"
import { Clock, DateTime, Effect, Option, Schedule } from "effect"

/** A tunnel without an agent and without a socket: its service is the other end of a pair of streams, an echo. */
const fakeTunnel = Effect.fnUntraced(function* (index: number) {
  const { edgeId, tenantId, tokenId } = tokenOf(index)
  const closed: Array<CloseReason> = []
  const opened: Array<string> = []
  const handle: TunnelHandle = {
    edgeId,
    tokenId,
    lastHeardAt: yield* Clock.currentTimeMillis,
    summary: () => ({
      edgeId,
      tenantId,
      tokenId,
      connectedAt: DateTime.makeUnsafe(0),
      lastHeartbeatAt: DateTime.makeUnsafe(handle.lastHeardAt),
      protocol: "v2",
      agent: "a fake",
      hostname: null,
      services: ["http"],
      remoteAddress: null,
      roundTripMillis: null,
      streams: opened.length,
      bytesIn: 0,
      bytesOut: 0,
      proxyId: "proxy-1"
    }),
    open: (service) =>
      Effect.sync(() => {
        opened.push(service)
        const [stream, local] = duplexPair()
        local.pipe(local)
        return { stream, protocol: "v2" as const }
      }),
    close: (reason) => Effect.sync(() => closed.push(reason))
  }
  return { handle, closed, opened }
})

describe("the proxy's composition on fakes alone", () => {
  it.live("dials, lists and shows a tunnel that it knows by the store's contract only", () =>
    Effect.gen(function* () {
      const { dialer, internalUrl, store } = yield* startServer()
      const { handle, opened } = yield* fakeTunnel(1)
      yield* store.register(handle.tokenId, handle)

      const { protocol, stream } = yield* dialer.open(handle.edgeId, "ssh")
      assert.strictEqual(protocol, "v2")
      assert.deepStrictEqual(opened, ["ssh"])
      stream.end("there and back")
      const text = yield* Effect.promise(async () => {
        let text = ""
        for await (const part of stream) text += String(part)
        return text
      })
      assert.strictEqual(text, "there and back")

      const list = yield* askJson(`${internalUrl}/internal/sessions`)
      assert.deepInclude(list.body[0], { edgeId: handle.edgeId, agent: "a fake", streams: 1 })
      const one = yield* askJson(`${internalUrl}/internal/sessions/${handle.edgeId}`)
      assert.deepInclude(one.body, { edgeId: handle.edgeId, agent: "a fake" })
    })
  )

  it.live("closes a silent one by the store's own clean-up, and no other", () =>
    Effect.gen(function* () {
      const { store } = yield* startServer({ heartbeatMillis: 15_000, silenceMillis: 45_000 })
      const silent = yield* fakeTunnel(1)
      const heard = yield* fakeTunnel(2)
      silent.handle.lastHeardAt -= 3_000_000
      heard.handle.lastHeardAt -= 3_000_000
      yield* store.register(heard.handle.tokenId, heard.handle)
      yield* store.heartbeat(heard.handle.tokenId)
      yield* store.register(silent.handle.tokenId, silent.handle)
      yield* Effect.repeat(
        Effect.sync(() => silent.closed.length),
        { until: (count) => count > 0, schedule: Schedule.spaced("10 millis") }
      ).pipe(Effect.timeout("30 seconds"))
      assert.deepStrictEqual(silent.closed, ["heartbeat_timeout"])
      assert.isTrue(Option.isNone(yield* store.lookupEdge(silent.handle.edgeId)))
      assert.isTrue(yield* store.exists(heard.handle.tokenId))
      assert.deepStrictEqual(heard.closed, [])
    })
  )
})
