import { ProviderRefused, ProviderUnavailable } from "@edge-relay/auth/provider/OidcError"
import { ProviderTokens, seal } from "@edge-relay/auth/provider/ProviderTokens"
import { SessionCookie, type VerifiedCookie } from "@edge-relay/auth/session/SessionCookie"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { WebSocket, WebSocketServer } from "ws"
import {
  ask,
  eventually,
  httpOrigin,
  olderSessionKey,
  sendRaw,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"

const tokens = (accessToken: string) =>
  new ProviderTokens({ accessToken, refreshToken: "refresh", idToken: "id" })

/** Signed in, with an access token that wants refreshing since a second. */
const due = (cookie: VerifiedCookie) => ({
  sealed: seal(cookie.id, tokens("first")),
  refreshAt: Date.now() - 1000
})

describe("Gateway, sessions", () => {
  it.live("have their tokens refreshed when that is due, once, and no request waits for it", () => {
    let asked = 0
    let answer = () => {}
    const refresh = () =>
      Effect.callback<{ tokens: ProviderTokens; refreshAt: number }>((resume) => {
        asked++
        answer = () => resume(Effect.succeed({ tokens: tokens("second"), refreshAt: Date.now() + 3_600_000 }))
      })
    return Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* httpOrigin((_, response) => response.end("ok")))
      const { cookie, verified } = yield* gateway.signIn(due)
      for (let count = 0; count < 20; count++) {
        const { status } = yield* ask({ port: gateway.port, cookie }, `/api/edges/${edgeId}/http/`)
        assert.strictEqual(status, 200)
      }
      assert.strictEqual(asked, 1)
      answer()
      const isFresh = () => (gateway.sessions.peek(verified.idHash, Date.now())?.refreshAt ?? 0) > Date.now()
      yield* eventually("fresh tokens", isFresh)
      // One that is not due asks nobody.
      yield* ask({ port: gateway.port, cookie }, `/api/edges/${edgeId}/http/`)
      yield* ask(gateway, `/api/edges/${edgeId}/http/`)
      assert.strictEqual(asked, 1)
    }).pipe(Effect.provide(TestGateway.layer({}, undefined, refresh)))
  })

  it.live("end, with what is under way, where the provider refuses", () => {
    let refuse = () => {}
    const refresh = () =>
      Effect.callback<never, ProviderRefused>((resume) => {
        refuse = () => resume(Effect.fail(new ProviderRefused({ reason: "refused", code: "invalid_grant" })))
      })
    return Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin((_, response) => {
          response.write("data: 1\n\n")
        })
      )
      const { cookie } = yield* gateway.signIn(due)
      const received = yield* sendRaw(
        gateway.port,
        `GET /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`,
        (text) => {
          if (text.includes("data: 1")) refuse()
          return false
        }
      )
      assert.match(received, /^HTTP\/1\.1 200 /)
      assert.notInclude(received, "0\r\n\r\n")
      const next = yield* ask({ port: gateway.port, cookie }, `/api/edges/${edgeId}/http/`)
      assert.strictEqual(next.status, 401)
      assert.strictEqual(gateway.traffic.recent(edgeId)[0]?.cause, "unauthorized")
    }).pipe(Effect.provide(TestGateway.layer({}, undefined, refresh)))
  })

  it.live("go on where the provider is away, which is not asked with each request", () => {
    let asked = 0
    return Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* httpOrigin((_, response) => response.end("ok")))
      const { cookie } = yield* gateway.signIn(due)
      for (let count = 0; count < 20; count++) {
        const { status } = yield* ask({ port: gateway.port, cookie }, `/api/edges/${edgeId}/http/`)
        assert.strictEqual(status, 200)
      }
      yield* eventually("a question", () => asked === 1)
    }).pipe(
      Effect.provide(
        TestGateway.layer({}, undefined, () =>
          Effect.suspend(() => {
            asked++
            return new ProviderUnavailable({ operation: "refresh", retryAfterSeconds: 5, cause: "away" })
          })
        )
      )
    )
  })

  it.live("get a cookie of the newest key, with whatever the edge answers", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const port = yield* httpOrigin(
        ({ url }, response) => {
          response.setHeader("Set-Cookie", "session=evil")
          response.writeHead(url === "/missing" ? 404 : 200).end("ok")
        },
        (server) => new WebSocketServer({ server })
      )
      const edgeId = yield* gateway.addEdge(port)
      const path = `/api/edges/${edgeId}/http`
      const older = Context.get(
        yield* Layer.build(SessionCookie.layer({ keys: [olderSessionKey], secure: false })),
        SessionCookie
      )
      const { cookie, verified } = yield* gateway.signIn(() => ({}))
      const [old = ""] = older.set(verified).split(";")
      assert.notStrictEqual(old, cookie)
      for (const target of ["/", "/missing", "/"]) {
        const answer = yield* ask({ port: gateway.port, cookie: old }, path + target)
        assert.deepStrictEqual(answer.headers["set-cookie"], [`${cookie}; Path=/; HttpOnly; SameSite=Lax`])
      }
      const upgraded = yield* Effect.callback<ReadonlyArray<string> | undefined>((resume) => {
        const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}/`, { headers: { Cookie: old } })
        socket.once("upgrade", ({ headers }) => resume(Effect.succeed(headers["set-cookie"])))
        socket.once("open", () => socket.close())
      })
      assert.deepStrictEqual(upgraded, [`${cookie}; Path=/; HttpOnly; SameSite=Lax`])
      for (const mine of [cookie, gateway.cookie]) {
        const answer = yield* ask({ port: gateway.port, cookie: mine }, `${path}/`)
        assert.isUndefined(answer.headers["set-cookie"])
      }
      // Nobody else's answer has one.
      const stranger = yield* ask({ port: gateway.port, cookie: gateway.strangersCookie }, `${path}/`)
      assert.strictEqual(stranger.status, 404)
      assert.isUndefined(stranger.headers["set-cookie"])
    }).pipe(Effect.scoped, Effect.provide(TestGateway.layer()))
  )
})
