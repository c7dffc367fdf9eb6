import { assert, describe, expect, layer } from "@effect/vitest"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Page } from "playwright-core"
import { ConsoleBrowser, isThere } from "./ConsoleBrowser.ts"

/** Every page of the console, with something on it, and how to know that it is there. */
const pages = (edgeId: string, userCode: string) =>
  [
    { name: "edges", path: "/", ready: "[data-edge]" },
    { name: "nothing fits", path: "/?q=nothing", ready: ".count + p" },
    { name: "edge", path: `/edges/${edgeId}`, ready: "#facts" },
    { name: "no such edge", path: "/edges/edge_01h00000000000000000000000", ready: "main > p + a" },
    { name: "pair", path: "/pair", ready: "#have-code" },
    { name: "pairing request", path: `/pair?code=${userCode}`, ready: "main dl" },
    { name: "no such request", path: "/pair?code=BCDF-2345", ready: ".notice.failed" },
    { name: "audit", path: "/audit", ready: "tbody tr" },
    { name: "tokens", path: "/tokens", ready: "tbody tr" },
    { name: "sign-ins", path: "/sign-ins", ready: "tbody tr" }
  ] as const

/** A fleet of two, a code that was made, and a machine that asks. */
const begin = Effect.gen(function* () {
  const api = yield* TestApi
  const { open } = yield* ConsoleBrowser
  const alice = yield* api.signIn(`alice-${crypto.randomUUID()}`)
  const press = yield* api.edges.create(alice.tenantId, { name: "Press 4", labels: ["hall:a", "gpu"] })
  yield* api.edges.create(alice.tenantId, { name: "Camera 2" })
  yield* api.connect(alice.tenantId, press.id)
  const { cookie } = alice
  const body = { hostname: "jetson-7", name: "Hall 3" }
  const { json } = yield* ask(`${api.url}/api/pairing/requests`, { method: "POST", body })
  const { userCode } = json as { readonly userCode: string }
  yield* ask(`${api.url}/api/pairing/codes`, { method: "POST", cookie, body: { name: "third" } })
  const token = { name: "ci", scopes: ["edges:read", "gateway"], expiresInSeconds: 3600 }
  yield* ask(`${api.url}/api/tokens`, { method: "POST", cookie, body: token })
  return { alice, open, pages: pages(press.id, userCode) }
})

const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8")

/** What axe-core finds by all its rules, one line each. */
const findings = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe)
  const found: ReadonlyArray<{ id: string; nodes: ReadonlyArray<{ html: string }> }> = await page.evaluate(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations)`
  )
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)
}

/** What changes from run to run: codes, ids, times. */
const settle = (snapshot: string): string =>
  snapshot
    .replaceAll(/(edge|sess|code|tok|user|pat)_[0-9a-z]{26}/g, "$1_ID")
    .replaceAll(/alice-[0-9a-f-]{36}/g, "alice")
    .replaceAll(/\b[A-Z2-9]{4}-[A-Z2-9]{4}\b/g, "CODE")
    .replaceAll(/[A-Z][a-z]{2} \d{1,2}, \d{4}, \d{1,2}:\d\d:\d\d\s[AP]M/g, "MOMENT")
    .replaceAll(/\d+ (sec|min)\. ago/g, "now")

describe.skipIf(!isThere)("in Chromium", () => {
  layer(ConsoleBrowser.layer, { excludeTestServices: true, timeout: 60_000 })(
    "Every page of the console",
    (it) => {
      it.effect("is what its tree says to a screen reader, and breaks no policy", () =>
        Effect.gen(function* () {
          const { alice, open, pages } = yield* begin
          yield* Effect.promise(async () => {
            // A file a page: the runner's `-u` writes them anew, to be read in the change.
            const isAsWritten = async (page: Page, name: string, part: string) =>
              expect(`${settle(await page.locator(part).ariaSnapshot())}\n`).toMatchFileSnapshot(
                `./pages/${name.replaceAll(" ", "-")}.aria`
              )
            const signedOut = await open(undefined, "/audit?action=edge.removed")
            await signedOut.page.getByRole("link", { name: "Sign in" }).waitFor()
            await isAsWritten(signedOut.page, "signed out", "body")
            const { complaints, page } = await open(alice, "/")
            for (const { name, path, ready } of pages) {
              await page.goto(new URL(path, page.url()).href)
              await page.locator(ready).first().waitFor()
              await page.getByText("Live", { exact: true }).waitFor()
              await isAsWritten(page, name, "main")
            }
            await isAsWritten(page, "header", "header")
            assert.deepStrictEqual([...signedOut.complaints, ...complaints].filter(isFault), [])
          })
        })
      )

      it.effect("gives axe-core nothing to find and fits 320 pixels, in both schemes and languages", () =>
        Effect.gen(function* () {
          const { alice, open, pages } = yield* begin
          yield* Effect.promise(async () => {
            for (const options of [
              { colorScheme: "light", locale: "en-US", viewport: { width: 1280, height: 800 } },
              { colorScheme: "dark", locale: "zh-TW", viewport: { width: 320, height: 640 } }
            ] as const) {
              // The page's policy would keep the test's script out.
              const signedOut = await open(undefined, "/", { ...options, bypassCSP: true })
              await signedOut.page.locator("a[href^='/api/auth/login']").waitFor()
              assert.deepStrictEqual(await findings(signedOut.page), [], `signed out, ${options.colorScheme}`)
              const { page } = await open(alice, "/", { ...options, bypassCSP: true })
              for (const { name, path, ready } of pages) {
                await page.goto(new URL(path, page.url()).href)
                await page.locator(".connection.live").waitFor()
                await page.locator(ready).first().waitFor()
                assert.deepStrictEqual(await findings(page), [], `${name}, ${options.colorScheme}`)
                // WCAG 2.2, 1.4.4 and 1.4.10: 1,280 pixels at 200 % and at 400 %, with nothing at the side.
                for (const width of [640, 320]) {
                  await page.setViewportSize({ width, height: 640 })
                  assert.isAtMost(
                    await page.evaluate(() => document.documentElement.scrollWidth),
                    width,
                    name
                  )
                  assert.deepStrictEqual(await cutOff(page), [], `${name}, ${width}`)
                }
                await page.setViewportSize(options.viewport)
              }
            }
          })
        })
      )
    }
  )
})

/** A gone edge or request is asked for, and answered 404: that is no fault. */
const isFault = (complaint: string): boolean => !complaint.includes("404")

/** Texts that do not fit into what they stand in, and are cut there. */
const cutOff = (page: Page): Promise<ReadonlyArray<string>> =>
  page.evaluate(() =>
    Array.from(document.querySelectorAll<HTMLElement>("main *, header *"))
      .filter((one) => {
        const { overflowX } = getComputedStyle(one)
        return overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1
      })
      .map((one) => one.outerHTML.slice(0, 200))
  )
