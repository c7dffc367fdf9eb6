import { assert, describe, it } from "vitest"
import { createServer } from "node:http"
import { once } from "node:events"
import { chromiumPath, launch } from "@edge-relay/testkit/Chromium"
import { Program } from "@edge-relay/testkit/Program"
import { addresses, agent, folder } from "@edge-relay/testkit/RelaySystem"

/** A local server whose page tries to act as the person who looks at it. */
const hostilePage = `<!doctype html><title>hostile</title><h1>local page</h1><output>trying</output>
<script>
  const tries = {
    cookie: () => { document.cookie = "planted=1; path=/"; return document.cookie },
    storage: () => { localStorage.setItem("a", "1"); return localStorage.getItem("a") },
    api: async () => (await fetch("/api/auth/me")).status,
    parent: () => top.location.href,
    worker: async () => (await navigator.serviceWorker.register("worker.js")).scope,
    opener: () => window.opener.document.title
  }
  ;(async () => {
    const won = []
    for (const [name, attempt] of Object.entries(tries)) {
      try { const got = await attempt(); if (!String(got).startsWith("http") || name === "worker") won.push(name + "=" + got) } catch {}
    }
    document.querySelector("output").textContent = "won: " + won.join(",")
  })()
</script>`

describe.skipIf(chromiumPath === undefined)("the console in Chromium", () => {
  it("signs in, shows edges as they come, pairs, and opens an edge's page that cannot act as its viewer", async () => {
    await using home = await folder()
    await using state = await folder()
    const at = await addresses()
    await using system = new Program("packages/devkit/src/start.ts", [], at.env, home.path)
    await system.printed(/Ctrl-C/, 20)
    const local = createServer((_request, response) => {
      response.setHeader("content-type", "text/html")
      response.setHeader("set-cookie", "session=stolen; Path=/")
      response.end(hostilePage)
    }).listen(0, "127.0.0.1")
    await once(local, "listening")
    const address = local.address()
    const port = typeof address === "object" && address !== null ? address.port : 0

    const browser = await launch()
    try {
      const context = await browser.newContext()
      const page = await context.newPage()
      const complaints: Array<string> = []
      page.on("pageerror", (error) => complaints.push(error.message))
      page.on("console", (message) => {
        if (message.type() === "error") complaints.push(message.text())
      })

      await page.goto(at.api)
      await page.getByText("alice", { exact: false }).first().click()
      await page.locator("input[type=password]").fill("anything")
      await page.locator("button[type=submit]").first().click()
      await page.waitForURL(`${at.api}/`)
      await page.locator("#edges .online").first().waitFor()
      assert.strictEqual(await page.locator("#edges tr").count(), 1)

      await page.locator("#pair-name").fill("<b>second</b>")
      await page.getByRole("button", { name: "Pair an edge" }).click()
      await page.locator("#code-panel").waitFor()
      const code = await page.locator("#code").textContent()
      assert.match(code ?? "", /^[A-Z2-9]{4}-[A-Z2-9]{4}$/)
      assert.include((await page.locator("#command").textContent()) ?? "", `pair ${code}`)

      const pair = agent(
        ["pair", code ?? "", "--url", at.api, "--to", `http://127.0.0.1:${port}`],
        state.path
      )
      assert.strictEqual(await pair.exited, 0, pair.output)
      await using _agent = agent(["run"], state.path)
      // It appears by itself, with its name as text.
      const link = page.getByRole("link", { name: "<b>second</b>" })
      await link.waitFor()
      const [opened] = await Promise.all([context.waitForEvent("page"), link.click()])
      // It opens on the edge's own host, where it may do as it likes, and is nobody here.
      await opened.getByText("won:").waitFor()
      assert.match(opened.url(), /^http:\/\/[a-z0-9]{26}\.edges\.localhost:\d+\/$/)
      const edgeId = `edge_${new URL(opened.url()).hostname.slice(0, 26)}`
      const sandboxed = await context.newPage()
      await sandboxed.goto(`${at.api}/api/edges/${edgeId}/http/`)
      await sandboxed.getByText("won:").waitFor()
      assert.strictEqual(await sandboxed.locator("output").textContent(), "won: ")
      const cookies = await context.cookies(at.api)
      assert.deepEqual(
        cookies.filter(({ name }) => name === "planted" || name === "edge"),
        []
      )
      assert.notStrictEqual(cookies.find(({ name }) => name === "session")?.value, "stolen")

      page.once("dialog", (dialog) => void dialog.accept("renamed"))
      await page.locator("tr", { has: link }).getByRole("button", { name: "Rename" }).click()
      await page.getByRole("link", { name: "renamed" }).waitFor()
      page.once("dialog", (dialog) => void dialog.accept())
      await page.locator("tr", { hasText: "renamed" }).getByRole("button", { name: "Remove" }).click()
      await page.getByText("renamed").waitFor({ state: "detached" })

      assert.deepEqual(complaints, [])
      await page.getByRole("button", { name: "Sign out" }).click()
      await page.waitForURL((url) => !url.href.startsWith(`${at.api}/api`) && url.href !== `${at.api}/`)
      assert.strictEqual((await context.request.get(`${at.api}/api/auth/me`)).status(), 401)
    } finally {
      await browser.close()
      local.closeAllConnections()
      local.close()
    }
  }, 180_000)
})
