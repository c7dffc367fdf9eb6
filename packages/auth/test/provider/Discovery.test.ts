import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { assertLanded, assertPage, start } from "@edge-relay/testkit/auth/Hostile"
import { json } from "@edge-relay/testkit/auth/HostileProvider"

/** A provider whose every mention of its issuer has a path. */
const underPath = Effect.fnUntraced(function* (configured: string, own: string) {
  const app = yield* start({ issuerPath: configured })
  const issuer = `${app.provider.issuer}${own}`
  Object.assign(app.provider.behave, {
    metadata: (metadata: object) => ({ ...metadata, issuer }),
    claims: (claims: object) => ({ ...claims, iss: issuer }),
    authorize: (answer: URLSearchParams) => {
      answer.set("iss", issuer)
      return answer
    }
  })
  return { app, issuer }
})

const login = (app: Effect.Success<ReturnType<typeof start>>, accept = "text/html") =>
  new Browser().fetch(app.at("/api/auth/login"), { headers: { accept } })

describe("an issuer", () => {
  for (const [configured, own] of [
    ["/realm", "/realm"],
    ["/realm", "/realm/"],
    ["/realm/", "/realm"],
    ["/realm/", "/realm/"],
    ["", "/"]
  ] as const) {
    it.live(`of "${configured}" may call itself "${own}", and is called that`, () =>
      Effect.gen(function* () {
        const { app, issuer } = yield* underPath(configured, own)
        const browser = new Browser()
        assertLanded(yield* app.signIn(browser), "/home")
        const [session] = yield* app.check
          .find(`session=${browser.cookie("session")}`)
          .pipe(Effect.map((found) => (found._tag === "Some" ? [found.value.session] : [])))
        assert.strictEqual(session?.issuer, issuer)
      })
    )
  }

  it.live("that is another one is told to whoever runs this, with both values", () =>
    Effect.gen(function* () {
      const { app } = yield* underPath("/realm", "/other")
      const page = yield* login(app)
      assertPage(page, 503, "Signing in is not set up right")
      for (const value of [`${app.provider.issuer}/realm`, `${app.provider.issuer}/other`]) {
        assert.include(page.body, value)
        assert.isTrue(app.logs.some((line) => line.includes(value) && line.includes("OIDC_ISSUER")))
      }
      const problem = JSON.parse((yield* login(app, "application/json")).body)
      assert.strictEqual(problem.code, "provider_unavailable")
      assert.include(problem.detail, `${app.provider.issuer}/other`)
    })
  )

  it.live("that stands for many tenants sends nobody to the provider", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const issuer = `${app.provider.issuer}/{tenantid}/v2.0`
      app.provider.behave.metadata = (metadata) => ({ ...metadata, issuer })
      const page = yield* login(app)
      assertPage(page, 503, "Signing in is not set up right")
      assert.include(page.body, "stands for many issuers")
    })
  )
})

describe("metadata", () => {
  for (const [what, change] of [
    ["without jwks_uri", { jwks_uri: undefined }],
    ["without token_endpoint", { token_endpoint: undefined }],
    ["without authorization_endpoint", { authorization_endpoint: undefined }],
    ["whose jwks_uri is no URL", { jwks_uri: "jwks" }],
    ["whose jwks_uri is a script", { jwks_uri: "javascript:1" }]
  ] as const) {
    it.live(`${what} are told as such, once in the log`, () =>
      Effect.gen(function* () {
        const app = yield* start()
        app.provider.behave.metadata = (metadata) => ({ ...metadata, ...change })
        const page = yield* login(app)
        assertPage(page, 503, "Signing in is not set up right")
        const [name = ""] = Object.keys(change)
        assert.include(page.body, name)
        yield* login(app)
        assert.strictEqual(
          app.logs.filter((line) => line.includes('"ERROR"') && line.includes(name)).length,
          1
        )
      })
    )
  }

  it.live("that are put right are used without a restart", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.metadata = (metadata) => ({ ...metadata, jwks_uri: undefined })
      const answer = yield* login(app)
      assert.strictEqual(answer.status, 503)
      app.provider.behave.discovery = (metadata) =>
        json({ ...metadata, jwks_uri: `${app.provider.issuer}/jwks` })
      yield* Effect.sleep(Number(answer.headers["retry-after"]) * 1000)
      assertLanded(yield* app.signIn(new Browser()), "/home")
    })
  )
})
