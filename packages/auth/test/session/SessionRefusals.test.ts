import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { signedInBrowser, start } from "@edge-relay/testkit/auth/Hostile"

describe("requests of other sites", () => {
  const logout = (headers: { readonly [name: string]: string }) =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const answer = yield* browser.fetch(app.at("/api/auth/logout"), {
        method: "POST",
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [
            name,
            value === "SELF" ? app.publicUrl.origin : value
          ])
        )
      })
      const alive = (yield* app.me(browser)).status === 200
      return { status: answer.status, code: JSON.parse(answer.body).code, alive }
    })

  for (const headers of [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site", origin: "SELF" },
    { origin: "https://evil.example" },
    { origin: "null" }
  ]) {
    it.live(`that change something are refused with cross_site: ${JSON.stringify(headers)}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* logout(headers), { status: 403, code: "cross_site", alive: true })
      })
    )
  }

  for (const headers of [
    {},
    { "sec-fetch-site": "same-origin" },
    { "sec-fetch-site": "none" },
    { origin: "SELF" }
  ] as ReadonlyArray<{ readonly [name: string]: string }>) {
    it.live(`our own, or a program's, are taken: ${JSON.stringify(headers)}`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* logout(headers)).status, 200)
      })
    )
  }

  it.live("get no Access-Control header, whatever they ask", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const answers = [
        yield* browser.fetch(app.at("/api/auth/me"), { headers: { origin: "https://evil.example" } }),
        yield* browser.fetch(app.at("/api/auth/me"), {
          method: "OPTIONS",
          headers: { origin: "https://evil.example", "access-control-request-method": "GET" }
        })
      ]
      for (const { headers } of answers) {
        assert.deepStrictEqual(
          Object.keys(headers).filter((name) => name.startsWith("access-control")),
          []
        )
      }
    })
  )
})

describe("every endpoint that needs a session", () => {
  it.live("answers 401 as a problem without a cookie, with a tampered one, and with one that is over", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const value = browser.cookie("session") ?? ""
      yield* app.post(browser, "/api/auth/logout")
      for (const [method, path] of [
        ["GET", "/api/auth/me"],
        ["POST", "/api/auth/logout"],
        ["GET", "/api/auth/sessions"],
        ["DELETE", "/api/auth/sessions"],
        ["DELETE", "/api/auth/sessions/sess_01h455vb4pex5vsknk084sn02q"]
      ] as const) {
        for (const cookie of ["", `session=${value.slice(0, -1)}A`, `session=${value}`]) {
          const answer = yield* new Browser().fetch(app.at(path), { method, headers: { cookie } })
          assert.strictEqual(answer.status, 401)
          assert.strictEqual(answer.headers["content-type"], "application/problem+json")
          assert.strictEqual(JSON.parse(answer.body).code, "unauthorized")
        }
      }
    })
  )

  it.live("answers what is somebody's with no-store", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      for (const path of ["/api/auth/me", "/api/auth/sessions"]) {
        assert.strictEqual((yield* browser.fetch(app.at(path))).headers["cache-control"], "no-store")
      }
    })
  )
})
