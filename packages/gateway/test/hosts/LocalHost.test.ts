import { EdgeHostSeal } from "@edge-relay/auth/edge-host/EdgeHostSeal"
import * as EdgeHost from "@edge-relay/domain/edges/EdgeHost"
import type { LocalServer } from "@edge-relay/domain/tunnels/LocalServer"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import type { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import {
  ask,
  httpOrigin,
  layerDialerOf,
  layerPresence,
  sessionKey,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"

const edgeDomain = "edges.test:3721"

/** A gateway that knows that of the edge's server; one request to it on the edge's host, by a page of its own. */
const asked = Effect.fnUntraced(function* (
  local: LocalServer,
  headers: (origin: string) => ReadonlyArray<string>
) {
  const presence = Layer.effect(
    Presence,
    Effect.map(Presence, (known) =>
      Presence.of({
        ...known,
        // As much of it as the gateway looks at.
        session: () => ({ localServers: { http: local } }) as Partial<SessionSummary> as SessionSummary
      })
    )
  ).pipe(Layer.provide(layerPresence))
  return yield* Effect.gen(function* () {
    const gateway = yield* TestGateway
    let seen: ReadonlyArray<string> = []
    const port = yield* httpOrigin((request, response) => {
      seen = request.rawHeaders
      response.writeHead(201, {
        Location: `${local.origin}/made?by=you#1`,
        "Content-Location": "http://elsewhere.test/made",
        "Access-Control-Allow-Origin": local.origin
      })
      response.end("made")
    })
    const edgeId = yield* gateway.addEdge(port)
    const host = Option.getOrElse(EdgeHost.of(edgeDomain, { edgeId, service: "http" }), () => "")
    const seal = yield* EdgeHostSeal
    const id = gateway.cookie.split(".")[1] ?? ""
    const cookie = `edge-relay-session=${seal.sealCookie(host, { id })}`
    const answer = yield* ask({ port: gateway.port, cookie }, "/things", {
      method: "POST",
      host,
      headers: headers(`http://${host}`)
    })
    const valueOf = (name: string) => seen[seen.findIndex((one) => one.toLowerCase() === name) + 1]
    return { answer, host, valueOf }
  }).pipe(
    Effect.provide(
      Layer.merge(
        TestGateway.layer({ edgeDomain }, layerDialerOf(presence)),
        EdgeHostSeal.layer({ keys: [sessionKey] })
      )
    )
  )
})

const ofPage = (origin: string) => ["Origin", origin, "Referer", `${origin}/page?a=${origin}/`]

describe("A server that wants its own address in requests", () => {
  it.live("reads it in Host, Origin and Referer, and what it says of it is the public one's", () =>
    Effect.gen(function* () {
      const local = { origin: "http://nas.local:8080", hostHeader: "local" } as const
      const { answer, host, valueOf } = yield* asked(local, ofPage)
      assert.strictEqual(valueOf("host"), "nas.local:8080")
      assert.strictEqual(valueOf("origin"), "http://nas.local:8080")
      assert.strictEqual(valueOf("referer"), `http://nas.local:8080/page?a=http://${host}/`)
      assert.strictEqual(valueOf("x-forwarded-host"), host)
      assert.strictEqual(answer.headers.location, `http://${host}/made?by=you#1`)
      assert.strictEqual(answer.headers["content-location"], "http://elsewhere.test/made")
      assert.strictEqual(answer.headers["access-control-allow-origin"], `http://${host}`)
    })
  )

  it.live("is not told that another site is itself", () =>
    Effect.gen(function* () {
      const local = { origin: "http://nas.local:8080", hostHeader: "local" } as const
      const { valueOf } = yield* asked(local, (origin) => [
        "Origin",
        origin,
        "Referer",
        `${origin}.evil.test/`
      ])
      assert.match(valueOf("referer") ?? "", /\.evil\.test\/$/)
      assert.notInclude(valueOf("referer"), "nas.local")
    })
  )

  it.live("is the exception: by default it reads the public one, and its redirects are still turned", () =>
    Effect.gen(function* () {
      const local = { origin: "http://nas.local:8080", hostHeader: "public" } as const
      const { answer, host, valueOf } = yield* asked(local, ofPage)
      assert.deepStrictEqual([valueOf("host"), valueOf("origin")], [host, `http://${host}`])
      assert.strictEqual(answer.headers.location, `http://${host}/made?by=you#1`)
    })
  )
})
