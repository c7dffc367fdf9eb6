import { assert, describe, it } from "vitest"
import { once } from "node:events"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import type { BrowserContext, Page } from "playwright-core"
import { WebSocketServer } from "ws"
import { chromiumPath, launch } from "@edge-relay/testkit/Chromium"
import * as ConsolePage from "@edge-relay/testkit/ConsolePage"
import { Program } from "@edge-relay/testkit/Program"
import { addresses, agent, folder } from "@edge-relay/testkit/RelaySystem"

/** An application as people have them: several files, a cookie, events, a WebSocket, and links from the root. */
const application = () => {
  const requests: Array<IncomingMessage> = []
  const files: { readonly [path: string]: readonly [type: string, body: string] } = {
    "/": [
      "text/html",
      `<!doctype html><title>app</title><link rel="stylesheet" href="/static/app.css"><img id="dot" src="/dot.svg">
<a href="/deep?x=1">deep</a><ul></ul><script src="/static/app.js"></script>`
    ],
    "/deep": ["text/html", "<!doctype html><title>deep</title><a href='/'>home</a>"],
    "/static/app.css": ["text/css", "ul { color: rgb(1, 2, 3) }"],
    "/dot.svg": ["image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" width="5" height="5"/>`],
    "/static/app.js": [
      "text/javascript",
      `const say = (text) => document.querySelector("ul").append(Object.assign(document.createElement("li"), { textContent: text }))
fetch("/data").then((r) => r.text()).then((text) => say("data " + text))
fetch("/data", { method: "POST", body: "x" }).then((r) => say("post " + r.status))
new EventSource("/events").onmessage = ({ data }) => say("event " + data)
const socket = new WebSocket("ws://" + location.host + "/socket")
socket.onopen = () => socket.send("hello")
socket.onmessage = ({ data }) => say("socket " + data)
socket.onclose = () => say("socket closed")`
    ]
  }
  const server = createServer((request, response) => {
    requests.push(request)
    const url = new URL(request.url ?? "/", "http://local")
    if (url.pathname === "/data") return void response.end(request.headers.cookie ?? "no cookie")
    if (url.pathname === "/moved") {
      const { port } = server.address() as AddressInfo
      return void response.writeHead(302, { location: `http://127.0.0.1:${port}/deep` }).end()
    }
    if (url.pathname === "/events") {
      response.writeHead(200, { "content-type": "text/event-stream" })
      return void response.write("data: one\n\n")
    }
    const [type, body] = files[url.pathname] ?? ["text/plain", "nothing here"]
    response.writeHead(url.pathname in files ? 200 : 404, {
      "content-type": type,
      ...(url.pathname === "/" && { "set-cookie": "app=1; Path=/; HttpOnly; SameSite=Lax" })
    })
    response.end(body)
  })
  const sockets = new WebSocketServer({ server })
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(String(data))))
  return { server, sockets, requests }
}

const lines = (page: Page) => page.locator("li").allTextContents()

const works = async (page: Page) => {
  for (const text of ["data app=1", "post 200", "event one", "socket hello"]) {
    await page.locator("li", { hasText: text }).first().waitFor()
  }
  assert.strictEqual(
    await page.locator("ul").evaluate((list) => getComputedStyle(list).color),
    "rgb(1, 2, 3)"
  )
  assert.isAbove(await page.locator("#dot").evaluate((image) => (image as HTMLImageElement).naturalWidth), 0)
}

const cookieNames = async (context: BrowserContext, url: string) =>
  (await context.cookies(url)).map(({ name }) => name).sort()

describe.skipIf(chromiumPath === undefined)("an edge's own host in Chromium", () => {
  it("runs an unchanged application, signs in from a deep link, and ends with the session", async () => {
    await using home = await folder()
    await using state = await folder()
    const at = await addresses()
    await using system = new Program("packages/devkit/src/start.ts", [], at.env, home.path)
    await system.printed(/Ctrl-C/, 20)
    const { requests, server, sockets } = application()
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    const browser = await launch()
    try {
      const newContext = async () => {
        const context = await browser.newContext()
        context.setDefaultTimeout(60_000)
        return context
      }
      const context = await newContext()
      const page = await context.newPage()
      await ConsolePage.signIn(page, at.api, "alice")
      const code = await page.evaluate(async () => {
        const answer = await fetch("/api/pairing/codes", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ name: "application" })
        })
        return (await answer.json()).code as string
      })
      const pair = agent(["pair", code, "--url", at.api, "--to", `http://127.0.0.1:${port}`], state.path)
      assert.strictEqual(await pair.exited, 0, pair.output)
      await using _agent = agent(["run"], state.path)

      const link = ConsolePage.openLink(page, "application")
      await link.waitFor()
      const [app] = await Promise.all([context.waitForEvent("page"), link.click()])
      await app.waitForURL(/edges\.localhost/)
      const { origin } = new URL(app.url())
      assert.match(origin, /^http:\/\/[a-z0-9]{26}\.edges\.localhost:\d+$/)
      await works(app)
      await app.reload()
      await works(app)
      await app.getByText("deep").click()
      await app.waitForURL(`${origin}/deep?x=1`)
      await app.goto(`${origin}/moved`)
      assert.strictEqual(app.url(), `${origin}/deep`)

      // The edge heard of its own cookie, and of none of ours or of the provider's.
      for (const { headers } of requests) assert.match(headers.cookie ?? "app=1", /^app=1$/)
      const named = await cookieNames(context, origin)
      assert.deepStrictEqual(
        named.filter((name) => !name.startsWith("edge-relay-rounds")),
        ["app", "edge-relay-session"]
      )

      // What its page plants for parents reaches nobody, and its siblings cannot be asked to act.
      await app.evaluate(() => {
        document.cookie = "planted=1; domain=localhost"
        document.cookie = "session=planted; domain=localhost"
      })
      assert.notInclude(await cookieNames(context, at.api), "planted")
      const sibling = await page.evaluate(async () => {
        const { items } = await (await fetch("/api/edges")).json()
        return (
          (items as Array<{ name: string; url: string }>).find(({ name }) => name !== "application")?.url ??
          ""
        )
      })
      const other = await context.newPage()
      await other.goto(sibling)
      assert.isTrue(other.url().startsWith(sibling))
      const attempts = await app.evaluate(
        async ([theirs, ours]) => {
          const statusOf = async (url: string, init: RequestInit) => {
            try {
              const answer = await fetch(url, { credentials: "include", ...init })
              return answer.type === "opaque" ? "opaque" : String(answer.status)
            } catch {
              return "blocked"
            }
          }
          const socket = await new Promise((resolve) => {
            const opened = new WebSocket(`${theirs?.replace("http", "ws")}inference`)
            opened.onopen = () => resolve("open")
            opened.onerror = () => resolve("blocked")
          })
          return [
            await statusOf(`${theirs}system/restart`, { method: "POST", mode: "cors" }),
            await statusOf(`${ours}/api/auth/me`, { mode: "cors" }),
            await statusOf(`${ours}/api/auth/logout`, { method: "POST", mode: "no-cors" }),
            socket
          ]
        },
        [sibling, at.api]
      )
      assert.deepStrictEqual(attempts, ["blocked", "blocked", "opaque", "blocked"])
      assert.strictEqual((await context.request.get(`${at.api}/api/auth/me`)).status(), 200)

      // A fetch of somebody who is not signed in is refused, and never redirected.
      const stranger = await newContext()
      const refused = await stranger.request.get(`${at.api}/data`, {
        headers: { host: new URL(origin).host },
        maxRedirects: 0
      })
      assert.strictEqual(refused.status(), 401)
      assert.match(refused.headers()["content-type"] ?? "", /problem\+json/)

      // A deep link in a fresh browser: sign in, and be there. Then several tabs of another edge at once.
      const tab = await stranger.newPage()
      await tab.goto(`${origin}/deep?x=1`)
      await ConsolePage.chooseAtProvider(tab, "alice")
      await tab.waitForURL(`${origin}/deep?x=1`)
      const tabs = await Promise.all(Array.from({ length: 4 }, () => stranger.newPage()))
      const answers = await Promise.all(tabs.map((each) => each.goto(sibling)))
      assert.deepStrictEqual(
        answers.map((answer) => answer?.status()),
        [200, 200, 200, 200]
      )
      // Bob's tenant has no such edge.
      const bobs = await newContext()
      const bob = await bobs.newPage()
      await bob.goto(`${origin}/`)
      await ConsolePage.chooseAtProvider(bob, "bob")
      await bob.getByText("There is no such edge").waitFor()

      // A planted second session cookie makes no loop: a page says so.
      await stranger.addCookies([
        { name: "edge-relay-session", value: "planted", domain: ".edges.localhost", path: "/" }
      ])
      await tab.goto(`${origin}/deep`)
      await tab.getByText("does not hold").waitFor()

      // Signing out ends it there too, open sockets included.
      await app.goto(`${origin}/`)
      await works(app)
      await ConsolePage.signOut(page)
      await app.locator("li", { hasText: "socket closed" }).waitFor({ timeout: 5000 })
      const status = await app.evaluate(async () => (await fetch("/data")).status)
      assert.strictEqual(status, 401)
      assert.include(await lines(app), "socket closed")
    } finally {
      await browser.close()
      for (const socket of sockets.clients) socket.terminate()
      server.closeAllConnections()
      server.close()
    }
  }, 300_000)
})
