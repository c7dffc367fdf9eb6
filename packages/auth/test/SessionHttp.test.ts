import { SignInSessions } from "@edge-relay/domain/SignInSessions"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { createHmac } from "node:crypto"
import { Browser } from "./harness/Browser.ts"
import { signedInBrowser, start } from "./harness/Hostile.ts"
import { hostileProvider } from "./harness/HostileProvider.ts"
import { listening, newKey, serve } from "./harness/TestServer.ts"

type App = Effect.Success<ReturnType<typeof start>>

/** What the server says to a request with exactly this Cookie header. */
const meWith = (app: App, cookie: string) =>
  Effect.map(
    new Browser().fetch(app.at("/api/auth/me"), { headers: { cookie, accept: "application/json" } }),
    ({ status }) => status
  )

describe("the session cookie", () => {
  it.live(
    "is HttpOnly, SameSite=Lax, for the whole host and this host alone, with an id and a signature",
    () =>
      Effect.gen(function* () {
        const app = yield* start()
        const answer = yield* new Browser().fetch(app.at("/api/auth/login"))
        assert.strictEqual(answer.setCookies.length, 1)
        const [pair, ...attributes] = answer.setCookies[0]?.split("; ") ?? []
        assert.match(pair ?? "", /^session=v1\.[\w-]{43}\.[\w-]{43}$/)
        assert.deepStrictEqual(attributes.sort(), ["HttpOnly", "Path=/", "SameSite=Lax"])
      })
  )

  it.live("with any byte flipped or missing is 401", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const value = browser.cookie("session") ?? ""
      assert.strictEqual(yield* meWith(app, `session=${value}`), 200)
      const variants: Array<string> = []
      for (let index = 0; index < value.length; index++) {
        const flipped = String.fromCharCode(value.charCodeAt(index) ^ 1)
        variants.push(value.slice(0, index) + flipped + value.slice(index + 1))
        variants.push(value.slice(0, index) + value.slice(index + 1))
        variants.push(value.slice(0, index))
      }
      variants.push(`${value}A`, `${value}.`, `v2${value.slice(2)}`, value.toLowerCase(), `"${value}"`)
      const codes = yield* Effect.forEach(variants, (variant) => meWith(app, `session=${variant}`), {
        concurrency: 8
      })
      // A control character or a separator does not even make a cookie.
      assert.deepStrictEqual(new Set(codes), new Set([401]))
    })
  )

  it.live("beside another of its name is 401, wherever that comes from", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const value = browser.cookie("session") ?? ""
      assert.strictEqual(yield* meWith(app, `session=x; session=${value}`), 401)
      assert.strictEqual(yield* meWith(app, `session=${value}; session=x`), 401)
      assert.strictEqual(yield* meWith(app, `session=${value}; session=${value}`), 401)
      assert.strictEqual(yield* meWith(app, `session=; session=${value}`), 401)
      assert.strictEqual(yield* meWith(app, `a=b; session=${value}; sessions=x; xsession=y`), 200)
    })
  )

  it.live("whose signature was made for another name is 401", () =>
    Effect.gen(function* () {
      const key = newKey()
      const app = yield* start({ sessionKeys: [key] })
      const browser = yield* signedInBrowser(app)
      const id = (browser.cookie("session") ?? "").split(".")[1] ?? ""
      const sign = (text: string) =>
        createHmac("sha256", Redacted.value(key)).update(text).digest("base64url")
      assert.strictEqual(yield* meWith(app, `session=v1.${id}.${sign(`session.v1.${id}`)}`), 200)
      assert.strictEqual(yield* meWith(app, `session=v1.${id}.${sign(`__Host-session.v1.${id}`)}`), 401)
      assert.strictEqual(yield* meWith(app, `session=v1.${id}.${sign(`other.v1.${id}`)}`), 401)
      assert.strictEqual(yield* meWith(app, `session=v1.${id}.${sign(id)}`), 401)
    })
  )

  it.live("among a thousand others, or in 64 KiB, costs an answer of 401 or 431", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const value = browser.cookie("session") ?? ""
      const thousand = Array.from({ length: 1000 }, (_, index) => `c${index}=v`).join("; ")
      assert.strictEqual(yield* meWith(app, `${thousand}; session=${value}`), 200)
      // The 431 may be lost, since the server closes before it has read the request.
      const huge = (cookie: string) => Effect.catchDefect(meWith(app, cookie), () => Effect.succeed(431))
      assert.include([401, 431], yield* huge(`session=${"A".repeat(65_536)}`))
      assert.include([401, 431], yield* huge(`${"a=b; ".repeat(13_107)}session=${value}`))
      assert.strictEqual(yield* meWith(app, "session=x; ".repeat(1000)), 401)
      assert.strictEqual(yield* meWith(app, `session=${value}`), 200)
    })
  )

  it.live("signed by an older key still counts, and is signed anew", () =>
    Effect.gen(function* () {
      const provider = yield* hostileProvider()
      const socket = yield* listening
      const [oldKey, newestKey] = [newKey(), newKey()]
      // One store, as a restart with other keys has it.
      const store = yield* Layer.build(SignInSessions.layerMemory)
      const sessions = Layer.succeed(SignInSessions, Context.get(store, SignInSessions))
      const serveWith = (sessionKeys: ReadonlyArray<typeof oldKey>) =>
        serve(socket, { issuer: provider.issuer, sessions, sessionKeys })
      const browser = new Browser()
      const me = browser.fetch(new URL("/api/auth/me", socket.origin), {
        headers: { accept: "application/json" }
      })

      yield* serveWith([oldKey])
      yield* browser.visit(new URL("/api/auth/login?returnTo=/home", socket.origin), {
        until: ({ pathname }) => pathname === "/home"
      })
      const before = browser.cookie("session")
      assert.strictEqual((yield* me).setCookies.length, 0)

      yield* serveWith([newestKey, oldKey])
      assert.strictEqual((yield* me).status, 200)
      const after = browser.cookie("session")
      assert.notStrictEqual(after, before)
      assert.strictEqual(after?.split(".")[1], before?.split(".")[1])
      assert.strictEqual((yield* me).setCookies.length, 0)

      yield* serveWith([newestKey])
      assert.strictEqual((yield* me).status, 200)
      const old = new Browser()
      old.plant("localhost", "session", before ?? "")
      assert.strictEqual((yield* old.fetch(new URL("/api/auth/me", socket.origin))).status, 401)
    })
  )
})

describe("a session's time", () => {
  const startAtNow = (options: {
    readonly idle?: Duration.Duration
    readonly absolute?: Duration.Duration
  }) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.now())
      return yield* start(options)
    })

  it.live("is 8 hours without use and 7 days at most, unless a server is told otherwise", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const asked = Date.now()
      const { createdAt, expiresAt, idleExpiresAt } = JSON.parse((yield* app.me(browser)).body).session
      assert.strictEqual(Date.parse(expiresAt) - Date.parse(createdAt), 7 * 86_400_000)
      assert.isAtLeast(Date.parse(idleExpiresAt), asked + 8 * 3_600_000)
      assert.isAtMost(Date.parse(idleExpiresAt), Date.now() + 8 * 3_600_000)
    })
  )

  it.effect("is over when it was not used for that long", () =>
    Effect.gen(function* () {
      const app = yield* startAtNow({ idle: Duration.minutes(8) })
      const browser = yield* signedInBrowser(app)
      yield* TestClock.adjust("7 minutes")
      assert.strictEqual((yield* app.me(browser)).status, 200)
      yield* TestClock.adjust("7 minutes")
      assert.strictEqual((yield* app.me(browser)).status, 200)
      yield* TestClock.adjust("8 minutes")
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )

  it.effect("is not extended by asking with slide=false", () =>
    Effect.gen(function* () {
      const app = yield* startAtNow({ idle: Duration.minutes(8) })
      const browser = yield* signedInBrowser(app)
      const poll = browser.fetch(app.at("/api/auth/me?slide=false"))
      const idleExpiresAt = JSON.parse((yield* poll).body).session.idleExpiresAt
      for (let minute = 1; minute < 8; minute++) {
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(JSON.parse((yield* poll).body).session.idleExpiresAt, idleExpiresAt)
      }
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* poll).status, 401)
    })
  )

  it.effect("is over at its absolute end, whatever is asked of it", () =>
    Effect.gen(function* () {
      const app = yield* startAtNow({ idle: Duration.minutes(8), absolute: Duration.minutes(30) })
      const browser = yield* signedInBrowser(app)
      for (let minutes = 0; minutes < 25; minutes += 5) {
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual((yield* app.me(browser)).status, 200)
      }
      const { session } = JSON.parse((yield* app.me(browser)).body)
      assert.strictEqual(session.idleExpiresAt, session.expiresAt)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )
})

describe("my sign-ins", () => {
  it.live("are listed, newest first, with the one that asks marked", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const first = yield* signedInBrowser(app)
      const second = yield* signedInBrowser(app)
      app.provider.behave.subject = "bob"
      yield* signedInBrowser(app)
      const { items, nextCursor } = JSON.parse((yield* first.fetch(app.at("/api/auth/sessions"))).body)
      assert.isNull(nextCursor)
      assert.deepStrictEqual(
        items.map((item: { readonly current: boolean }) => item.current),
        [false, true]
      )
      const [other] = items
      assert.match(other.id, /^sess_[0-7][0-9a-z]{25}$/)
      assert.strictEqual(other.userAgent, "test browser")
      assert.strictEqual(other.address, "127.0.0.1")
      assert.match(other.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      assert.notInclude(JSON.stringify(items), second.cookie("session")?.split(".")[1] ?? "?")
    })
  )

  it.live("can be ended one by one, and all but this one", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const [here, there, elsewhere] = [
        yield* signedInBrowser(app),
        yield* signedInBrowser(app),
        yield* signedInBrowser(app)
      ]
      const idOf = (browser: Browser) =>
        Effect.map(app.me(browser), ({ body }) => String(JSON.parse(body).session.id))
      assert.strictEqual(
        (yield* app.post(here, `/api/auth/sessions/${yield* idOf(there)}`, "DELETE")).status,
        204
      )
      assert.strictEqual((yield* app.me(there)).status, 401)
      assert.strictEqual((yield* app.me(elsewhere)).status, 200)
      assert.strictEqual((yield* app.post(here, "/api/auth/sessions", "DELETE")).status, 204)
      assert.strictEqual((yield* app.me(elsewhere)).status, 401)
      assert.strictEqual((yield* app.me(here)).status, 200)
      const own = yield* app.post(here, `/api/auth/sessions/${yield* idOf(here)}`, "DELETE")
      assert.strictEqual(own.status, 204)
      assert.strictEqual(here.cookie("session"), undefined)
    })
  )

  it.live("of somebody else do not exist: the same bytes as for an id that was never issued", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const alice = yield* signedInBrowser(app)
      app.provider.behave.subject = "bob"
      const bob = yield* signedInBrowser(app)
      const { session } = JSON.parse((yield* app.me(alice)).body)
      const theirs = yield* app.post(bob, `/api/auth/sessions/${session.id}`, "DELETE")
      const nobodys = yield* app.post(bob, "/api/auth/sessions/sess_01h455vb4pex5vsknk084sn02q", "DELETE")
      assert.strictEqual(theirs.status, 404)
      assert.strictEqual(theirs.body, nobodys.body)
      assert.strictEqual((yield* app.me(alice)).status, 200)
    })
  )

  it.live("that end are told to whoever watches them, at once", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const checked = Option.getOrThrow(yield* app.check.find(`session=${browser.cookie("session")}`))
      const seen: Array<string> = []
      app.sessions.watch(checked.session, (reason) => seen.push(reason))
      yield* app.post(browser, "/api/auth/logout")
      assert.deepStrictEqual(seen, ["signed_out"])
    })
  )
})

describe("signing out", () => {
  it.live("ends the session here first, then tells where to sign out of the provider", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const old = browser.cookie("session") ?? ""
      const answer = yield* app.post(browser, "/api/auth/logout")
      assert.strictEqual(answer.status, 200)
      const logoutUrl = new URL(JSON.parse(answer.body).logoutUrl)
      assert.strictEqual(logoutUrl.origin + logoutUrl.pathname, `${app.provider.issuer}/end-session`)
      assert.strictEqual(logoutUrl.searchParams.get("post_logout_redirect_uri"), app.at("/").href)
      assert.strictEqual(logoutUrl.searchParams.get("id_token_hint")?.split(".").length, 3)
      assert.strictEqual(browser.cookie("session"), undefined)
      assert.strictEqual(yield* meWith(app, `session=${old}`), 401)
    })
  )

  it.live("takes the refresh token back at the provider", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      yield* app.post(browser, "/api/auth/logout")
      yield* Effect.yieldNow
      yield* Effect.repeat(Effect.sleep(10), { while: () => app.provider.to("/revoke").length === 0 })
      assert.strictEqual(app.provider.to("/revoke")[0]?.form.get("token_type_hint"), "refresh_token")
    })
  )

  it.live("works while the provider is down", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      app.provider.behave.discovery = () => "reset"
      const answer = yield* app.post(browser, "/api/auth/logout")
      assert.strictEqual(answer.status, 200)
      assert.strictEqual((yield* app.me(browser)).status, 401)
    })
  )

  it.live("leads nowhere where the provider has no such page", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.metadata = ({ end_session_endpoint: _endpoint, ...metadata }) => metadata
      const browser = yield* signedInBrowser(app)
      assert.deepStrictEqual(JSON.parse((yield* app.post(browser, "/api/auth/logout")).body), {
        logoutUrl: null
      })
    })
  )
})

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
