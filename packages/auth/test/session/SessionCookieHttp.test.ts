import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import * as SignInSessionsMemory from "@edge-relay/domain/sign-in/SignInSessionsMemory"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { createHmac } from "node:crypto"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { signedInBrowser, start } from "@edge-relay/testkit/auth/Hostile"
import { hostileProvider } from "@edge-relay/testkit/auth/HostileProvider"
import { listening, newKey, serve } from "@edge-relay/testkit/auth/TestServer"

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

  it.live("among a thousand others, or in 96 KiB, costs an answer of 401 or 431", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = yield* signedInBrowser(app)
      const value = browser.cookie("session") ?? ""
      const thousand = Array.from({ length: 1000 }, (_, index) => `c${index}=v`).join("; ")
      assert.strictEqual(yield* meWith(app, `${thousand}; session=${value}`), 200)
      // The 431 may be lost, since the server closes before it has read the request.
      const huge = (cookie: string) => Effect.catchDefect(meWith(app, cookie), () => Effect.succeed(431))
      assert.include([401, 431], yield* huge(`session=${"A".repeat(98_304)}`))
      assert.include([401, 431], yield* huge(`${"a=b; ".repeat(19_660)}session=${value}`))
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
      const store = yield* Layer.build(SignInSessionsMemory.layer)
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
