import { assert, describe, it } from "vitest"
import { createServer } from "node:http"
import { once } from "node:events"
import { chromiumPath, launch } from "@edge-relay/testkit/Chromium"
import * as ConsolePage from "@edge-relay/testkit/ConsolePage"
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
      const complaints = ConsolePage.complaintsOf(page)

      await ConsolePage.signIn(page, at.api, "alice")
      await ConsolePage.edgeRow(page, "Simulated edge").getByText("online").waitFor()
      assert.strictEqual(await page.getByRole("table", { name: "Edges" }).getByRole("row").count(), 2)

      const code = await ConsolePage.makeCode(page, "<b>second</b>")
      await page.getByText(`npm run agent -- pair ${code} --url ${at.api}`, { exact: true }).waitFor()
      await page.getByRole("img", { name: "QR code of the command" }).waitFor()
      await page
        .getByRole("timer")
        .getByText(/^(10:00|9:\d\d) left$/)
        .waitFor()

      const pair = agent(["pair", code, "--url", at.api, "--to", `http://127.0.0.1:${port}`], state.path)
      assert.strictEqual(await pair.exited, 0, pair.output)
      await page.getByText("<b>second</b> is paired", { exact: false }).waitFor()
      await using running = agent(["run"], state.path)
      // It turns to a tick by itself, with its name as text.
      await page.getByText("<b>second</b> is connected", { exact: false }).waitFor()
      await page.getByRole("link", { name: "All edges" }).click()
      const link = ConsolePage.openLink(page, "<b>second</b>")
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

      // What the list shows of it changes by itself, too.
      running.child.kill("SIGTERM")
      await ConsolePage.edgeRow(page, "<b>second</b>")
        .getByText(/^offline since/)
        .waitFor()

      await page.getByRole("link", { name: "<b>second</b>", exact: true }).click()
      await page.getByRole("button", { name: "Rename" }).click()
      await page.getByRole("textbox", { name: "Name" }).fill("renamed")
      await page.getByRole("button", { name: "Save" }).click()
      await page.getByRole("heading", { name: "renamed" }).waitFor()
      await page.getByRole("button", { name: "Remove" }).click()
      const remove = page.getByRole("dialog").getByRole("button", { name: "Remove" })
      assert.isTrue(await remove.isDisabled())
      await page.getByLabel("Type renamed to confirm").fill("renamed")
      await remove.click()
      await page.getByText("renamed was removed.").waitFor()
      await page.getByRole("table").waitFor()
      assert.strictEqual(await ConsolePage.edgeRow(page, "renamed").count(), 0)

      assert.deepEqual(complaints, [])
      await ConsolePage.signOut(page)
      await page.waitForURL((url) => !url.href.startsWith(`${at.api}/api`) && url.href !== `${at.api}/`)
      assert.strictEqual((await context.request.get(`${at.api}/api/auth/me`)).status(), 401)
    } finally {
      await browser.close()
      local.closeAllConnections()
      local.close()
    }
  }, 180_000)
})
