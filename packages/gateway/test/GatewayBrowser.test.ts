import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chromiumPath, launch } from "@edge-relay/testkit/Chromium"
import { httpOrigin, TestGateway } from "@edge-relay/testkit/gateway/TestGateway"

/** A page of an edge that tries to be the signed-in user on our origin, and says how each try went. */
const hostile = (other: string) => `<!doctype html><title>trying</title><script>
const tries = {
  origin: () => String(self.origin),
  cookie: () => document.cookie,
  setCookie: () => { document.cookie = "session=evil; path=/"; return "done" },
  storage: () => { localStorage.setItem("a", "b"); return "done" },
  worker: () => navigator.serviceWorker.register("/api/edges/x/http/worker.js").then(() => "done"),
  read: () => fetch("${other}").then((response) => response.text()),
  post: () => fetch("${other}", { method: "POST", credentials: "include", body: "x" }).then((response) => "status " + response.status),
  blind: () => fetch("${other}", { method: "POST", mode: "no-cors", credentials: "include" }).then((response) => response.type),
  form: () => new Promise((resolve) => {
    document.body.insertAdjacentHTML("beforeend", '<iframe name="target"></iframe><form method="post" target="target" action="${other}"></form>')
    document.forms[0].submit()
    setTimeout(() => resolve("sent"), 300)
  }),
  top: () => { window.open("/"); return "done" }
}
const results = {}
;(async () => {
  for (const [name, run] of Object.entries(tries)) {
    try { results[name] = await run() } catch (error) { results[name] = "error: " + error.name }
  }
  document.body.dataset.results = JSON.stringify(results)
  document.title = "tried"
})()
</script><body></body>`

describe.skipIf(chromiumPath === undefined)("Gateway, in a browser (chromium)", () => {
  it.live("keeps a hostile edge's page and cookies away from our origin", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const asked: Array<string> = []
      const victim = yield* gateway.addEdge(
        yield* httpOrigin((request, response) => {
          asked.push(`${request.method} as ${String(request.headers["x-edge-user"])}`)
          response.end("secret")
        })
      )
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin((_, response) => {
          response.setHeader("Set-Cookie", ["session=evil; Path=/", "other=1; Path=/"])
          response.setHeader("Clear-Site-Data", '"cookies"')
          response.setHeader("Content-Type", "text/html")
          response.end(hostile(`/api/edges/${victim}/http/`))
        })
      )
      const browser = yield* Effect.acquireRelease(Effect.promise(launch), (browser) =>
        Effect.promise(() => browser.close())
      )
      const { results, cookies } = yield* Effect.promise(async () => {
        const context = await browser.newContext()
        const origin = `http://127.0.0.1:${gateway.port}`
        const [name = "", value = ""] = gateway.cookie.split("=", 2)
        await context.addCookies([{ name, value, url: origin, httpOnly: true, sameSite: "Lax" }])
        const page = await context.newPage()
        await page.goto(`${origin}/api/edges/${edgeId}/http/`)
        await page.waitForFunction(() => document.title === "tried")
        const results: Readonly<Record<string, string>> = JSON.parse(
          (await page.locator("body").getAttribute("data-results")) ?? "{}"
        )
        return { results, cookies: await context.cookies() }
      })
      assert.strictEqual(results["origin"], "null")
      for (const name of ["cookie", "setCookie", "storage", "worker", "read", "post"]) {
        assert.match(results[name] ?? "", /^error: /, name)
      }
      // What can be sent blindly is sent without the session, or refused as another site's.
      assert.deepStrictEqual(asked, [])
      assert.deepStrictEqual(
        cookies.map(({ name, value }) => `${name}=${value}`),
        [gateway.cookie]
      )
    }).pipe(Effect.provide(TestGateway.layer()), Effect.scoped)
  )
})
