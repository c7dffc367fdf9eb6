import { assert, layer } from "@effect/vitest"
import { AuthorizationPending, InvalidGrant, NotFound } from "@edge-relay/domain/api/Problem"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"
import { clientOf } from "@edge-relay/testkit/api/TestClient"
import { bearer } from "@edge-relay/testkit/contract/EveryEndpoint"
import { Effect, Schedule } from "effect"

const signedIn = Effect.fnUntraced(function* (person: string) {
  const api = yield* TestApi
  const alice = yield* api.signIn(person)
  const client = yield* clientOf(alice.cookie)
  const terminal = yield* clientOf()
  const begun = yield* terminal.terminal.begin({ payload: { hostname: "laptop" } })
  const poll = terminal.terminal.poll({ payload: { deviceCode: begun.deviceCode } })
  yield* client.terminalDecisions.approve({ params: { userCode: begun.userCode } })
  return { api, alice, client, terminal: terminal.terminal, tokens: yield* poll }
})

/** Within a second it is known everywhere. */
const untilRefused = (url: string, token: string) =>
  Effect.repeat(ask(`${url}/api/edges`, bearer(token)), {
    until: ({ status }) => status === 401,
    schedule: Schedule.spaced("20 millis")
  }).pipe(Effect.timeout("5 seconds"))

layer(TestApi.layer({ TRUSTED_PROXIES: "127.0.0.1" }), { excludeTestServices: true })(
  "A sign-in from a terminal",
  (it) => {
    it.effect("is asked for there, looked at and approved in a browser, and given once", () =>
      Effect.gen(function* () {
        const api = yield* TestApi
        const { cookie, tenantId, session } = yield* api.signIn("approves")
        const client = yield* clientOf(cookie)
        const { terminal } = yield* clientOf()
        const begun = yield* terminal.begin({ payload: { hostname: "l\u0430ptop" } })
        const { userCode } = begun
        assert.strictEqual(
          begun.verificationUriComplete,
          `http://relay.localhost:3721/terminal?code=${userCode}`
        )
        const poll = terminal.poll({ payload: { deviceCode: begun.deviceCode } })
        assert.instanceOf(yield* Effect.flip(poll), AuthorizationPending)
        const asked = yield* client.terminalDecisions.get({ params: { userCode } })
        assert.deepStrictEqual([asked.hostname, asked.userCode], ["l\u0430ptop", userCode])
        // What looks like another name is told as what it is, as for a machine that asks to be paired.
        assert.strictEqual(asked.shown.hostname, "l\u0430[U+0430]ptop")
        assert.isAtLeast(asked.ageSeconds, 0)
        yield* client.terminalDecisions.approve({ params: { userCode } })
        const { accessToken, expiresIn } = yield* poll
        assert.isAtMost(expiresIn, 3600)
        const me = yield* ask(`${api.url}/api/auth/me`, bearer(accessToken))
        assert.deepNestedInclude(me.json, { "user.id": session.userId, "tenant.id": tenantId, session: null })
        yield* Effect.flip(poll)
        const gone = yield* Effect.flip(client.terminalDecisions.approve({ params: { userCode } }))
        assert.instanceOf(gone, NotFound)
        const { items } = yield* api.audit.list(tenantId, { limit: 2 })
        assert.deepStrictEqual(
          items.map(({ action, actor }) => [action, actor]),
          [
            ["terminal.signed_in", session.userId],
            ["terminal.approved", session.userId]
          ]
        )
        assert.notInclude(api.logs.join("\n"), accessToken)
      })
    )

    it.effect("is refreshed, and ended when a refresh token comes twice", () =>
      Effect.gen(function* () {
        const { alice, api, terminal, tokens } = yield* signedIn("refreshes")
        const renewed = yield* terminal.refresh({ payload: { refreshToken: tokens.refreshToken } })
        assert.strictEqual((yield* ask(`${api.url}/api/edges`, bearer(renewed.accessToken))).status, 200)
        const reused = terminal.refresh({ payload: { refreshToken: tokens.refreshToken } })
        assert.instanceOf(yield* Effect.flip(reused), InvalidGrant)
        yield* untilRefused(api.url, renewed.accessToken)
        const { items } = yield* api.audit.list(alice.tenantId, { limit: 1 })
        assert.deepStrictEqual([items[0]?.action, items[0]?.outcome], ["terminal.refresh_reused", "failure"])
      })
    )

    it.effect("is shown among the sign-ins, and ended there, by itself, and with all others", () =>
      Effect.gen(function* () {
        const first = yield* signedIn("shown")
        const { items } = yield* first.client.auth.sessions()
        const shown = items.find(({ kind }) => kind === "terminal")
        assert.deepStrictEqual([items.length, shown?.userAgent, shown?.current], [2, "laptop", false])
        if (shown === undefined) return assert.fail("no terminal")
        const stranger = yield* clientOf((yield* first.api.signIn("stranger")).cookie)
        const theirs = stranger.auth.endSession({ params: { id: shown.id } })
        assert.instanceOf(yield* Effect.flip(theirs), NotFound)
        yield* first.client.auth.endSession({ params: { id: shown.id } })
        yield* untilRefused(first.api.url, first.tokens.accessToken)

        const second = yield* signedIn("shown")
        const end = ask(`${second.api.url}/api/auth/terminal`, {
          method: "DELETE",
          ...bearer(second.tokens.accessToken)
        })
        assert.strictEqual((yield* end).status, 204)
        yield* untilRefused(second.api.url, second.tokens.accessToken)

        const third = yield* signedIn("shown")
        yield* third.client.auth.endOtherSessions()
        yield* untilRefused(third.api.url, third.tokens.accessToken)
        assert.strictEqual((yield* third.client.auth.sessions()).items.length, 1)
      })
    )
  }
)
