import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"
import { clientOf } from "@edge-relay/testkit/api/TestClient"

layer(TestApi.layer(), { excludeTestServices: true })("The log", (it) => {
  it.effect("never has a secret in it, whatever goes well or wrong", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const { cookie } = yield* api.signIn("alice")
      const alice = yield* clientOf(cookie)
      const edge = yield* clientOf()
      const secrets = [cookie, cookie.slice(cookie.indexOf("=") + 1)]

      const { code } = yield* alice.pairing.createCode({ payload: { name: "an edge" } })
      const { edgeId, token } = yield* edge.edgePairing.exchange({ payload: { code } })
      yield* Effect.flip(edge.edgePairing.exchange({ payload: { code } }))
      const rotated = yield* alice.edges.rotateToken({ params: { edgeId } })
      const { deviceCode, userCode } = yield* edge.edgePairing.beginRequest({ payload: { hostname: "box" } })
      yield* Effect.flip(edge.edgePairing.pollRequest({ payload: { deviceCode } }))
      yield* alice.pairing.approveRequest({ params: { userCode } })
      const paired = yield* edge.edgePairing.pollRequest({ payload: { deviceCode } })
      secrets.push(code, token, rotated.token, deviceCode, userCode, paired.token)

      const post = (path: string, body: unknown, headers = {}) =>
        ask(`${api.url}${path}`, { method: "POST", cookie, body, headers })
      yield* post("/api/pairing/exchange", { code: 1, secret: "body-secret" })
      yield* post("/api/pairing/exchange", '{"code":"body-secret"')
      yield* post("/api/pairing/requests/poll", { deviceCode: "body-secret" })
      yield* post("/api/auth/backchannel-logout", "logout_token=body-secret", {
        "content-type": "application/x-www-form-urlencoded"
      })
      yield* ask(`${api.url}/api/auth/callback?code=query-secret&state=query-secret`, { cookie })
      yield* ask(`${api.url}/api/edges?cursor=query-secret`, { cookie })
      yield* ask(`${api.url}/api/edges/${edgeId}/http/?key=query-secret`, {
        cookie,
        headers: { authorization: "Bearer header-secret" }
      })
      secrets.push("body-secret", "query-secret", "header-secret")

      // The access log is written a fifth of a second later.
      while (!api.logs.join("").includes(`/api/edges/${edgeId}/http/`)) yield* Effect.sleep("20 millis")
      const logged = api.logs.join("\n")
      assert.isAbove(logged.split("\n").length, 15)
      for (const secret of secrets) assert.notInclude(logged, secret)
    })
  )

  it.effect("has the request's id in every line of it", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const headers = { "x-request-id": "the-request" }
      yield* ask(`${api.url}/api/auth/login`, { headers })
      const linesOf = () =>
        api.logs
          .join("\n")
          .split("\n")
          .filter((line) => line.includes("the-request"))
      while (!linesOf().some((line) => line.includes('"request"'))) yield* Effect.sleep("20 millis")
      assert.isAtLeast(linesOf().length, 2)
    })
  )
})
