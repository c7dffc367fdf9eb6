import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { type Answer, Browser, request } from "./Browser.ts"
import { hostileProvider } from "./HostileProvider.ts"
import { listening, serve, type TestServerOptions } from "./TestServer.ts"

/** A server, and the provider that it trusts, which a test then tells how to misbehave. */
export const start = Effect.fnUntraced(function* (
  options: Partial<TestServerOptions> & {
    readonly now?: () => number
    /** What `OIDC_ISSUER` has after the provider's origin. */
    readonly issuerPath?: string
  } = {}
) {
  const provider = yield* hostileProvider({
    ...(options.clientId === undefined ? {} : { clientId: options.clientId }),
    ...(options.now === undefined ? {} : { now: options.now })
  })
  const socket = yield* listening
  const server = yield* serve(socket, {
    issuer: `${provider.issuer}${options.issuerPath ?? ""}`,
    timeoutSeconds: 2,
    ...options
  })
  const at = (path: string) => new URL(path, server.publicUrl)
  const ours = (url: URL) => url.origin === server.publicUrl.origin

  /** From the login link to wherever our callback sends the browser. */
  const signIn = (browser: Browser, returnTo = "/home") =>
    browser.visit(at(`/api/auth/login?${new URLSearchParams({ returnTo }).toString()}`), {
      until: (url) => ours(url) && !url.pathname.startsWith("/api/")
    })

  /** As far as the callback's address, which is not called yet. */
  const toCallback = Effect.fnUntraced(function* (browser: Browser, returnTo = "/home") {
    const answer = yield* browser.visit(
      at(`/api/auth/login?${new URLSearchParams({ returnTo }).toString()}`),
      { until: (url) => ours(url) && url.pathname === "/api/auth/callback" }
    )
    assert.isDefined(answer.location, answer.body)
    return answer.location
  })

  const me = (browser: Browser) =>
    browser.fetch(at("/api/auth/me"), { headers: { accept: "application/json" } })

  const post = (browser: Browser, path: string, method = "POST") =>
    browser.fetch(at(path), {
      method,
      headers: { accept: "application/json", "sec-fetch-site": "same-origin" }
    })

  const backchannel = (logoutToken: string) =>
    request(at("/api/auth/backchannel-logout"), {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ logout_token: logoutToken }).toString()
    })

  return { ...server, provider, socket, at, signIn, toCallback, me, post, backchannel }
})

export const signedInBrowser = Effect.fnUntraced(function* (
  app: Effect.Success<ReturnType<typeof start>>,
  returnTo = "/home"
) {
  const browser = new Browser()
  const last = yield* app.signIn(browser, returnTo)
  assertLanded(last, returnTo)
  return browser
})

export const assertLanded = (answer: Answer, returnTo: string) => {
  assert.strictEqual(answer.status, 302, answer.body)
  assert.strictEqual(answer.location?.pathname, returnTo)
}

/** A page for a person: its status, no script, and one thing to do. */
export const assertPage = (answer: Answer, status: number, title: string) => {
  assert.strictEqual(answer.status, status, answer.body)
  assert.match(String(answer.headers["content-type"]), /^text\/html/)
  assert.include(answer.body, `<h1>${title}</h1>`)
  assert.notInclude(answer.body, "<script")
  assert.strictEqual(answer.body.match(/<a /g)?.length, 1)
  assert.match(String(answer.headers["content-security-policy"]), /^default-src 'none'/)
  assert.notInclude(String(answer.headers["content-security-policy"]), "unsafe-inline")
  assert.strictEqual(answer.headers["cache-control"], "no-store")
}
