import { assert, describe, it } from "@effect/vitest"
import { AuditLog, type NewAuditEntry } from "@edge-relay/domain/audit/AuditLog"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Effect, Layer, Metric, Option } from "effect"
import { TestClock } from "effect/testing"
import { type Answer, Browser } from "@edge-relay/testkit/auth/Browser"
import { assertPage, signedInBrowser, start } from "@edge-relay/testkit/auth/Hostile"
import { json } from "@edge-relay/testkit/auth/HostileProvider"
import { newKey } from "@edge-relay/testkit/auth/TestServer"

const authorization = (answer: Answer) => answer.location ?? new URL("about:blank")

describe("limits and records", () => {
  it.live("sign-in starts are limited by address, with Retry-After", () =>
    Effect.gen(function* () {
      const app = yield* start({ perMinute: { begin: 3 } })
      for (let index = 0; index < 3; index++) {
        assert.strictEqual((yield* new Browser().fetch(app.at("/api/auth/login"))).status, 302)
      }
      const answer = yield* new Browser().fetch(app.at("/api/auth/login"))
      assertPage(answer, 429, "Too many sign-ins")
      assert.match(String(answer.headers["retry-after"]), /^\d+$/)
      const program = yield* new Browser().fetch(app.at("/api/auth/login"), { headers: { accept: "*/*" } })
      assert.strictEqual(JSON.parse(program.body).code, "too_many_requests")
    })
  )

  it.live("callbacks are limited by address", () =>
    Effect.gen(function* () {
      const app = yield* start({ perMinute: { callback: 2 } })
      const codes = yield* Effect.forEach([1, 2, 3], () =>
        Effect.map(new Browser().fetch(app.at("/api/auth/callback?state=x")), ({ status }) => status)
      )
      assert.deepStrictEqual(codes, [400, 400, 429])
    })
  )

  it.live("back-channel logouts are limited by address, before their token is looked at", () =>
    Effect.gen(function* () {
      const app = yield* start({ perMinute: { backchannel: 2 } })
      const statuses = yield* Effect.forEach([1, 2, 3], () =>
        Effect.map(app.backchannel("not a token"), ({ status }) => status)
      )
      assert.deepStrictEqual(statuses, [400, 400, 429])
      const answer = yield* app.backchannel("not a token")
      assert.match(String(answer.headers["retry-after"]), /^\d+$/)
    })
  )

  it.live("each sign-in, failure and end is in the audit log, with address and request id", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      const callback = yield* app.toCallback(browser)
      yield* browser.fetch(callback, { headers: { "x-request-id": "request-1" } })
      const { tenant, user } = JSON.parse((yield* app.me(browser)).body)
      yield* app.post(browser, "/api/auth/logout")
      const { items } = yield* app.audit.list(tenant.id, { limit: 10 })
      assert.deepStrictEqual(
        items.map(({ action, actor, address, outcome }) => ({ action, actor, address, outcome })),
        [
          { action: "sign_in.ended", actor: user.id, address: "127.0.0.1", outcome: "success" },
          { action: "sign_in.done", actor: user.id, address: "127.0.0.1", outcome: "success" }
        ]
      )
      assert.strictEqual(items[1]?.requestId, "request-1")
    })
  )

  it.effect("what nobody in particular does is a count a minute in the audit log", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.now())
      const written: Array<NewAuditEntry> = []
      const audit = Layer.succeed(
        AuditLog,
        AuditLog.of({
          record: (entry) => Effect.sync(() => void written.push(entry)),
          list: () => Effect.die("not asked"),
          prune: () => Effect.void
        })
      )
      const app = yield* start({ audit, perMinute: { begin: 1000, callback: 1000, backchannel: 1000 } })
      for (let index = 0; index < 50; index++) {
        yield* new Browser().fetch(app.at("/api/auth/login"))
        yield* new Browser().fetch(app.at("/api/auth/callback?state=x"))
        yield* app.backchannel("no token")
      }
      assert.deepStrictEqual(written, [])
      yield* TestClock.adjust("1 minute")
      const lines = written.map(({ action, detail, outcome }) => `${action} ${outcome} ${detail}`)
      assert.deepStrictEqual(lines, [
        "sign_in.begun success 50 in a minute",
        "sign_in.failed failure no_cookie state 50 in a minute",
        "sign_in.backchannel_logout failure ERR_JWS_INVALID 50 in a minute"
      ])
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(written.length, 3)
    })
  )

  it.live("sign-ins are counted, failures by their cause", () =>
    Effect.gen(function* () {
      const app = yield* start()
      yield* signedInBrowser(app)
      yield* new Browser().fetch(app.at("/api/auth/callback?state=x"))
      const metrics = yield* Metric.snapshot
      const has = (id: string, cause?: string) =>
        metrics.some(
          (metric) => metric.id === id && (cause === undefined || metric.attributes?.["cause"] === cause)
        )
      assert.isTrue(has("sign_ins_begun_total"))
      assert.isTrue(has("sign_ins_done_total"))
      assert.isTrue(has("sign_ins_failed_total", "no_cookie"))
      assert.isTrue(has("sign_in_sessions"))
    })
  )

  it.live("a database that is away is 503 with Retry-After, for people and programs, and never 401", () =>
    Effect.gen(function* () {
      const away = new StorageUnavailable({ operation: "test", cause: "away" })
      const broken = new Proxy({} as SignInSessions["Service"], {
        get: (_target, name) =>
          name === "count" ? Effect.fail(away) : name === "peek" ? () => undefined : () => Effect.fail(away)
      })
      const sessionKeys = [newKey()]
      const healthy = yield* start({ sessionKeys })
      const browser = yield* signedInBrowser(healthy)
      const app = yield* start({ sessions: Layer.succeed(SignInSessions, broken), sessionKeys })
      const person = yield* browser.fetch(app.at("/api/auth/login"))
      assertPage(person, 503, "Signing in is not possible right now")
      const me = yield* app.me(browser)
      const program = yield* browser.fetch(app.at("/api/auth/callback?state=x"), {
        headers: { accept: "*/*" }
      })
      for (const { body, status } of [me, program]) {
        assert.strictEqual(status, 503)
        assert.strictEqual(JSON.parse(body).code, "storage_unavailable")
      }
      assert.match(String(program.headers["retry-after"]), /^\d+$/)
    })
  )

  it.live("no log line and no audit entry holds a secret", () =>
    Effect.gen(function* () {
      const app = yield* start({ clientSecret: "the-client-secret" })
      const browser = new Browser()
      const secrets = ["the-client-secret"]
      const login = yield* browser.fetch(app.at("/api/auth/login"))
      secrets.push(browser.cookie("session") ?? "")
      const callback = yield* browser.visit(authorization(login), {
        until: ({ pathname }) => pathname === "/api/auth/callback"
      })
      app.provider.behave.token = (answer) => {
        secrets.push(...["access_token", "refresh_token", "id_token"].map((name) => String(answer[name])))
        return json(answer)
      }
      yield* browser.fetch(callback.location ?? "")
      for (const parameter of ["code", "state"])
        secrets.push(callback.location?.searchParams.get(parameter) ?? "")
      secrets.push(
        browser.cookie("session") ?? "",
        app.provider.to("/token")[0]?.form.get("code_verifier") ?? ""
      )
      // A failure has more to say than a success.
      yield* browser.fetch(callback.location ?? "")
      const failing = yield* app.toCallback(browser)
      app.provider.behave.token = () => ({ status: 500, headers: {}, body: "" })
      yield* browser.fetch(failing)
      secrets.push(failing.searchParams.get("code") ?? "", failing.searchParams.get("state") ?? "")
      const { tenant } = JSON.parse((yield* app.me(browser)).body)
      const written = app.logs.join("\n") + JSON.stringify(yield* app.audit.list(tenant.id, { limit: 100 }))
      assert.isAbove(app.logs.length, 0)
      assert.isAtLeast(secrets.length, 10)
      for (const secret of secrets) {
        assert.isAbove(secret.length, 8)
        assert.notInclude(written, secret)
      }
    })
  )

  it.live(
    "answers of sign-in are not stored, tell nobody where they came from, and allow no other origin",
    () =>
      Effect.gen(function* () {
        const app = yield* start()
        const browser = new Browser()
        const callback = yield* app.toCallback(browser)
        const origin = { origin: "https://evil.example" }
        const answers = [
          yield* browser.fetch(app.at("/api/auth/login"), { headers: origin }),
          yield* browser.fetch(callback, { headers: origin })
        ]
        for (const { headers } of answers) {
          assert.strictEqual(headers["cache-control"], "no-store")
          assert.strictEqual(headers["referrer-policy"], "no-referrer")
          assert.isUndefined(headers["access-control-allow-origin"])
        }
        assert.isTrue(Option.isSome(yield* app.check.find(`session=${browser.cookie("session")}`)))
      })
  )
})
