import { assert, describe, layer } from "@effect/vitest"
import { edgeRow, openLink } from "@edge-relay/testkit/ConsolePage"
import { TestApi } from "@edge-relay/testkit/api/TestApi"
import { until } from "@edge-relay/testkit/Program"
import { startRelay } from "@edge-relay/testkit/TcpRelay"
import { Effect } from "effect"
import { readFile } from "node:fs/promises"
import type { Page } from "playwright-core"
import { ConsoleBrowser, isThere } from "./ConsoleBrowser.ts"

const begin = (names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const api = yield* TestApi
    const { open, url } = yield* ConsoleBrowser
    const alice = yield* api.signIn(`alice-${crypto.randomUUID()}`)
    const edges = yield* Effect.forEach(names, (name) => api.edges.create(alice.tenantId, { name }))
    const context = yield* Effect.context<never>()
    const run = Effect.runPromiseWith(context)
    return { api, alice, edges, open, run, url }
  })

const namesShown = (page: Page) =>
  page.locator("[data-edge] .name").evaluateAll((all) => all.map((one) => one.textContent))

describe.skipIf(!isThere)("in Chromium", () => {
  layer(ConsoleBrowser.layer, { excludeTestServices: true, timeout: 60_000 })("The list of edges", (it) => {
    it.effect("searches, filters and sorts by its address, and keeps that on a reload", () =>
      Effect.gen(function* () {
        const { alice, api, edges, open, run } = yield* begin(["edge 10", "edge 9", "press"])
        yield* Effect.promise(async () => {
          const [ten, nine] = edges
          assert(ten !== undefined && nine !== undefined)
          await run(api.edges.update(alice.tenantId, ten.id, { labels: ["hall:a", "gpu"] }))
          await run(api.edges.update(alice.tenantId, nine.id, { labels: ["hall:a"] }))
          await run(api.connect(alice.tenantId, nine.id))
          const { complaints, page } = await open(alice, "/")
          await edgeRow(page, "press").waitFor()
          assert.deepStrictEqual(await namesShown(page), ["edge 9", "edge 10", "press"])
          await page.getByRole("button", { name: "Name" }).click()
          await page
            .getByRole("columnheader", { name: "Name" })
            .and(page.locator("[aria-sort=descending]"))
            .waitFor()
          assert.deepStrictEqual(await namesShown(page), ["press", "edge 10", "edge 9"])

          await page.getByRole("searchbox").fill("EDGE")
          await page.getByText("2 of 3 edges").waitFor()
          await page.getByRole("button", { name: "Any label" }).click()
          await page.getByRole("menuitemcheckbox", { name: "hall:a" }).click()
          await page.getByRole("menuitemcheckbox", { name: "gpu" }).click()
          await page.keyboard.press("Escape")
          await page.getByText("1 of 3 edges").waitFor()
          await page.getByLabel("State").selectOption("offline")
          const { searchParams } = new URL(page.url())
          assert.deepStrictEqual(Object.fromEntries(searchParams), {
            q: "EDGE",
            label: "hall:a,gpu",
            state: "offline",
            sort: "-name"
          })
          await page.reload()
          await page.getByText("1 of 3 edges").waitFor()
          assert.deepStrictEqual(await namesShown(page), ["edge 10"])
          await page.getByRole("button", { name: "Clear filters" }).click()
          await page.getByText("3 edges", { exact: true }).waitFor()
          assert.deepStrictEqual(complaints, [])
        })
      })
    )

    it.effect("changes by itself, and takes the focus from nobody", () =>
      Effect.gen(function* () {
        const { alice, api, edges, open, run } = yield* begin(["b", "c", "d"])
        yield* Effect.promise(async () => {
          const [b, c] = edges
          assert(b !== undefined && c !== undefined)
          const { page } = await open(alice, "/")
          await page.getByText("Live", { exact: true }).waitFor()
          const link = page.getByRole("link", { name: "c", exact: true })
          await link.focus()
          const isFocused = () => page.evaluate(() => document.activeElement?.textContent)

          await run(api.connect(alice.tenantId, c.id))
          await openLink(page, "c").waitFor()
          assert.strictEqual(await isFocused(), "c")
          // One that stood before it goes behind it, one comes before it, one goes.
          await run(api.edges.update(alice.tenantId, b.id, { name: "z" }))
          await edgeRow(page, "z").waitFor()
          await run(api.edges.create(alice.tenantId, { name: "a" }))
          await edgeRow(page, "a").waitFor()
          assert.deepStrictEqual(await namesShown(page), ["a", "c", "d", "z"])
          assert.strictEqual(await isFocused(), "c")
          // And it itself moves to the end.
          await run(api.edges.update(alice.tenantId, c.id, { name: "zz" }))
          await edgeRow(page, "zz").waitFor()
          assert.strictEqual(await isFocused(), "zz")
          await run(api.edges.remove(alice.tenantId, b.id))
          await edgeRow(page, "z").waitFor({ state: "detached" })
          assert.strictEqual(await isFocused(), "zz")
          api.presence.offline("proxy", c.id)
          await edgeRow(page, "zz")
            .getByText(/^offline since \d/)
            .waitFor()
          assert.strictEqual(await isFocused(), "zz")
        })
      })
    )

    it.effect("labels, rotates and removes several at once", () =>
      Effect.gen(function* () {
        const { alice, api, open, run } = yield* begin(["one", "two", "three"])
        yield* Effect.promise(async () => {
          const { complaints, page } = await open(alice, "/")
          await page.getByRole("checkbox", { name: "Select one" }).check()
          await page.getByRole("checkbox", { name: "Select two" }).check()
          await page.getByRole("button", { name: "Add label" }).click()
          await page.getByRole("dialog").getByLabel("Label").fill("site:north")
          await page.keyboard.press("Enter")
          await page.getByText("2 edges changed.").waitFor()
          await edgeRow(page, "two").getByText("site:north").waitFor()
          assert.strictEqual(await edgeRow(page, "three").getByText("site:north").count(), 0)

          await page.getByRole("button", { name: "Rotate tokens" }).click()
          await page.getByRole("dialog").getByRole("button", { name: "Rotate tokens" }).click()
          await page.getByText("they are not shown again", { exact: false }).waitFor()
          assert.strictEqual(await page.getByText(/^ert_/).count(), 2)
          await page.getByRole("button", { name: "Close" }).click()

          await page.getByRole("button", { name: "Remove", exact: true }).click()
          await page.getByLabel("Type 2 to confirm").fill("2")
          await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click()
          await page.getByText("2 edges removed.").waitFor()
          const { items } = await run(api.edges.list(alice.tenantId, { limit: 10 }))
          assert.deepStrictEqual(
            items.map(({ name }) => name),
            ["three"]
          )
          assert.deepStrictEqual(complaints, [])
        })
      })
    )

    it.effect("has 10,000 edges, of which the screen's are in the document", () =>
      Effect.gen(function* () {
        const names = Array.from({ length: 10_000 }, (_, index) => `edge ${index + 1}`)
        const { alice, open } = yield* begin(names)
        yield* Effect.promise(async () => {
          const { page } = await open(alice, "/")
          await page.getByText("10,000 edges", { exact: true }).waitFor()
          const table = page.getByRole("table", { name: "Edges" })
          assert.strictEqual(await table.getAttribute("aria-rowcount"), "10001")
          await page.getByRole("link", { name: "edge 3", exact: true }).focus()
          await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight))
          await edgeRow(page, "edge 10000").waitFor()
          assert.strictEqual(await edgeRow(page, "edge 10000").getAttribute("aria-rowindex"), "10001")
          assert.isBelow(await page.locator("[data-edge]").count(), 80)
          // Far above the screen, and still where the keyboard is.
          assert.strictEqual(await page.evaluate(() => document.activeElement?.textContent), "edge 3")
          await page.getByRole("searchbox").fill("edge 777")
          await page.getByText("11 of 10,000 edges").waitFor()
        })
      })
    )

    it.effect("says how to begin where there is none, and shows the first one as it comes", () =>
      Effect.gen(function* () {
        const { alice, api, open, run } = yield* begin([])
        yield* Effect.promise(async () => {
          const { page } = await open(alice, "/")
          await page.getByRole("heading", { name: "No edge yet" }).waitFor()
          await run(api.edges.create(alice.tenantId, { name: "first" }))
          await edgeRow(page, "first").waitFor()
        })
      })
    )
  })

  layer(ConsoleBrowser.layer, { excludeTestServices: true, timeout: 60_000 })("The console", (it) => {
    it.effect("is used by the keyboard alone", () =>
      Effect.gen(function* () {
        const { alice, open } = yield* begin(["press"])
        yield* Effect.promise(async () => {
          const { page } = await open(alice, "/")
          await edgeRow(page, "press").waitFor()
          const focused = () =>
            page.evaluate(() => {
              const one = document.activeElement
              return one?.getAttribute("aria-label") ?? one?.textContent ?? ""
            })
          /** Tabs on until that has the focus. */
          const tabTo = async (name: string) => {
            for (let presses = 0; presses < 40; presses++) {
              if ((await focused()) === name) return
              await page.keyboard.press("Tab")
            }
            assert.fail(`never came to ${name}`)
          }
          await page.keyboard.press("Tab")
          assert.strictEqual(await focused(), "Skip to content")
          await tabTo("Select press")
          await page.keyboard.press("Space")
          await page.getByText("1 selected").waitFor()
          await tabTo("press")
          await page.keyboard.press("Enter")
          await page.getByRole("heading", { name: "press" }).waitFor()
          await tabTo("Rename")
          await page.keyboard.press("Enter")
          await page.getByRole("dialog").waitFor()
          await page.keyboard.press("Escape")
          await page.getByRole("dialog").waitFor({ state: "detached" })
          assert.strictEqual(await focused(), "Rename")
          await page.keyboard.press("Enter")
          await page.getByRole("textbox", { name: "Name", exact: true }).waitFor()
          await page.keyboard.press("ControlOrMeta+A")
          await page.keyboard.type("mill")
          await page.keyboard.press("Enter")
          await page.getByRole("heading", { name: "mill" }).waitFor()
          await tabTo("Edges")
          await page.keyboard.press("Enter")
          await edgeRow(page, "mill").waitFor()
        })
      })
    )

    it.effect("shows that the connection is lost, heals, and has missed nothing", () =>
      Effect.gen(function* () {
        const { alice, api, open, run, url } = yield* begin(["here"])
        const relay = yield* startRelay(() => Number(new URL(url).port))
        yield* Effect.promise(async () => {
          const { page } = await open(alice, "/", { baseURL: `http://127.0.0.1:${relay.port}` })
          await page.getByText("Live", { exact: true }).waitFor()
          // Connections break off, and new ones get no answer.
          const { forward } = relay
          relay.forward = () => {}
          relay.cut()
          await page.getByText("Connection lost", { exact: false }).waitFor()
          await run(api.edges.create(alice.tenantId, { name: "meanwhile" }))
          relay.forward = forward
          relay.cut()
          await page.getByText("Live", { exact: true }).waitFor()
          await edgeRow(page, "meanwhile").waitFor()
        })
      })
    )

    it.effect("ends in one browser what another one ended, and comes back to the same page", () =>
      Effect.gen(function* () {
        const { alice, api, edges, open } = yield* begin(["press"])
        const again = yield* api.signIn(alice.session.subject)
        yield* Effect.promise(async () => {
          const path = `/edges/${edges[0]?.id}`
          const other = await open(again, path)
          await other.page.getByRole("heading", { name: "press" }).waitFor()
          const { complaints, page } = await open(alice, "/sign-ins")
          await page.getByRole("button", { name: "End all others" }).click()
          await page.getByText("All other sign-ins were ended.").waitFor()
          await other.page.getByText("Your session has ended", { exact: false }).waitFor()
          const link = other.page.getByRole("link", { name: "Sign in" })
          assert.strictEqual(
            await link.getAttribute("href"),
            `/api/auth/login?returnTo=${encodeURIComponent(path)}`
          )
          assert.strictEqual(new URL(other.page.url()).pathname, path)
          assert.deepStrictEqual(complaints, [])
        })
      })
    )

    it.effect("makes an access token that works, shows it once, and revokes it", () =>
      Effect.gen(function* () {
        const { alice, open, url } = yield* begin(["press"])
        yield* Effect.promise(async () => {
          const { complaints, page } = await open(alice, "/tokens")
          await page.getByText("There is no token yet.").waitFor()
          await page.getByRole("button", { name: "Make a token" }).click()
          const dialog = page.getByRole("dialog")
          await dialog.getByLabel("Name").fill("nightly")
          await dialog.getByLabel("pair edges").check()
          await dialog.getByRole("button", { name: "Make a token" }).click()
          const token = (await page.getByText(/^er[a-z]*_/).textContent()) ?? ""
          const status = async () =>
            (await fetch(`${url}/api/edges`, { headers: { authorization: `Bearer ${token}` } })).status
          assert.strictEqual(await status(), 200)
          await page.getByRole("button", { name: "Close" }).click()
          const row = page.getByRole("row", { name: "nightly" })
          await row.getByText("read edges, pair edges").waitFor()
          assert.strictEqual(await page.getByText(token).count(), 0)
          await row.getByRole("button", { name: "Revoke nightly" }).click()
          await dialog.getByRole("button", { name: "Revoke" }).click()
          await page.getByText("nightly was revoked.").waitFor()
          await page.getByText("There is no token yet.").waitFor()
          // Servers remember a token for a moment.
          await until(status, (one) => one === 401)
          assert.deepStrictEqual(complaints, [])
        })
      })
    )

    it.effect("writes the audit log into files", () =>
      Effect.gen(function* () {
        const { alice, api, open } = yield* begin(["press"])
        yield* Effect.forEach(Array.from({ length: 230 }), (_, index) =>
          api.audit.record({
            action: "pairing.code_created",
            outcome: "success",
            tenantId: alice.tenantId,
            actor: alice.session.userId,
            detail: index === 229 ? '=1+1, "quoted"' : `code ${index}`
          })
        )
        yield* Effect.promise(async () => {
          const { page } = await open(alice, "/audit?action=pairing.code_created")
          await page.getByRole("button", { name: "Show more" }).click()
          await page.locator("tbody tr").nth(99).waitFor()
          const save = async (name: string) => {
            const [download] = await Promise.all([
              page.waitForEvent("download"),
              page.getByRole("button", { name }).click()
            ])
            return { name: download.suggestedFilename(), body: await readFile(await download.path(), "utf8") }
          }
          const csv = await save("Export CSV")
          assert.strictEqual(csv.name, "audit.csv")
          const lines = csv.body.split("\r\n")
          assert.lengthOf(lines, 232)
          assert.strictEqual(lines[0], "at,action,outcome,actor,edgeId,address,requestId,detail,id,sentence")
          // A spreadsheet must not run what a machine was called.
          assert.include(lines[1] ?? "", `,"'=1+1, ""quoted""",`)
          assert.match(lines[1] ?? "", /,You made a pairing code$/)
          const json = await save("Export JSON Lines")
          assert.strictEqual(json.name, "audit.jsonl")
          const entries = json.body
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(line))
          assert.lengthOf(entries, 230)
          assert.strictEqual(entries[0].detail, '=1+1, "quoted"')
        })
      })
    )
  })
})
