import { ProviderServer } from "@edge-relay/devkit/ProviderServer"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Browser } from "../../auth/test/harness/Browser.ts"
import { listening, serve, type TestServerOptions } from "../../auth/test/harness/TestServer.ts"

const start = Effect.fnUntraced(function* (options: Partial<TestServerOptions> = {}) {
  const socket = yield* listening
  const provider = yield* Layer.build(ProviderServer.layer({ publicUrl: socket.origin, port: 0 })).pipe(
    Effect.map((context) => Context.get(context, ProviderServer))
  )
  const server = yield* serve(socket, { issuer: provider.issuer, ...options })
  return { ...server, provider }
})

const signIn = Effect.fnUntraced(function* (
  browser: Browser,
  publicUrl: URL,
  user: string,
  returnTo = "/home"
) {
  const login = yield* browser.visit(
    new URL(`/api/auth/login?returnTo=${encodeURIComponent(returnTo)}`, publicUrl)
  )
  return yield* browser.submit(
    login,
    "/login",
    { login: user, password: "any" },
    {
      until: (url) => url.origin === publicUrl.origin && !url.pathname.startsWith("/api/")
    }
  )
})

describe("sign-in at the embedded provider", () => {
  it.live("signs alice in and lands where she began", () =>
    Effect.gen(function* () {
      const { publicUrl } = yield* start({ tenantClaim: "tenant" })
      const browser = new Browser()
      const last = yield* signIn(browser, publicUrl, "alice")
      assert.strictEqual(last.status, 302, last.body)
      assert.strictEqual(last.location?.pathname, "/home")
      const me = yield* browser.fetch(new URL("/api/auth/me", publicUrl))
      assert.strictEqual(me.status, 200, me.body)
      console.log(me.body, me.headers)
    })
  )
})
