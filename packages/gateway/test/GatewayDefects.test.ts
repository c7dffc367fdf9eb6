import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger } from "effect"
import type { ServerResponse } from "node:http"
import {
  ask,
  code,
  eventually,
  httpOrigin,
  layerPresence,
  TestEdges,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"

/** A gateway in which something is amiss, and what it logs. */
const asking = (
  layer: ReturnType<typeof TestGateway.layer>,
  expected: { readonly status: number; readonly code: string; readonly logged: RegExp }
) => {
  const lines: Array<string> = []
  const logger = Logger.make<unknown, void>(({ cause, logLevel, message }) => {
    lines.push(`${logLevel} ${String(message)} ${Cause.pretty(cause)}`)
  })
  return Effect.gen(function* () {
    const gateway = yield* TestGateway
    const edgeId = yield* gateway.addEdge(yield* httpOrigin((_, response) => response.end("ok")))
    for (let count = 0; count < 2; count++) {
      const answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`)
      assert.deepStrictEqual([answer.status, code(answer)], [expected.status, expected.code])
    }
    yield* eventually("a line in the log", () => lines.some((line) => expected.logged.test(line)))
  }).pipe(Effect.provide(layer.pipe(Layer.provide(Logger.layer([logger])))))
}

const bug = { status: 500, code: "internal_error", logged: /^Error [^]*defect[^]*a bug/ }

const changed = (edges: Parameters<typeof TestGateway.layer>[3]) =>
  TestGateway.layer({}, undefined, undefined, edges)

const dialling = (open: TunnelDialer["Service"]["open"]) =>
  TestGateway.layer(
    {},
    Layer.mergeAll(
      Layer.succeed(TunnelDialer, TunnelDialer.of({ open })),
      layerPresence,
      Layer.sync(TestEdges, () => new Map())
    )
  )

const fail = () => {
  throw new Error("a bug")
}

describe("Gateway, where it has a bug", () => {
  it.live("says so, of one in looking up the edge", () =>
    asking(changed({ get: () => Effect.die(new Error("a bug")) }), bug)
  )

  it.live("says so, of one that is thrown where the edge is looked up", () =>
    asking(changed({ get: fail }), bug)
  )

  it.live("says so, of one in forwarding", () => asking(TestGateway.layer({ addressOf: fail }), bug))

  it.live("says so, of one in dialling", () =>
    asking(
      dialling(() => Effect.die(new Error("a bug"))),
      bug
    )
  )

  it.live("says so, of one that is thrown in dialling", () => asking(dialling(fail), bug))

  it.live("says so, of one in passing the answer on", () => {
    const watch = (_: unknown, response: ServerResponse) => {
      const { writeHead } = response
      response.writeHead = () => {
        response.writeHead = writeHead
        return fail()
      }
    }
    return asking(TestGateway.layer({ watch }), bug)
  })

  it.live("blames the database for what is the database's", () =>
    asking(changed({ get: () => Effect.fail(new StorageUnavailable({ operation: "get", cause: "away" })) }), {
      status: 503,
      code: "storage_unavailable",
      logged: /^Warn [^]*storage unavailable in get/
    })
  )
})
