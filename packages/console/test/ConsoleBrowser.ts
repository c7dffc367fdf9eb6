import { chromiumPath, launch } from "@edge-relay/testkit/Chromium"
import { complaintsOf } from "@edge-relay/testkit/ConsolePage"
import { type Person, TestApi } from "@edge-relay/testkit/api/TestApi"
import { Context, Effect, Layer } from "effect"
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core"

export const isThere = chromiumPath !== undefined

/** A page of the console, and whose it is. */
export interface Opened {
  readonly page: Page
  readonly context: BrowserContext
  /** What the browser complained about: errors, refused requests, policies that were broken. */
  readonly complaints: ReadonlyArray<string>
}

/** The console in a real browser, before an API server of this process. */
export class ConsoleBrowser extends Context.Service<
  ConsoleBrowser,
  {
    readonly url: string
    /** Signed in as that person; as nobody where there is none. */
    readonly open: (
      person: Person | undefined,
      path: string,
      options?: BrowserContextOptions
    ) => Promise<Opened>
  }
>()("test/ConsoleBrowser") {
  static readonly layer = Layer.effect(
    ConsoleBrowser,
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const browser = yield* Effect.acquireRelease(Effect.promise(launch), (browser: Browser) =>
        Effect.promise(() => browser.close())
      )
      return ConsoleBrowser.of({
        url,
        open: async (person, path, options = {}) => {
          const context = await browser.newContext({
            locale: "en-US",
            timezoneId: "Asia/Taipei",
            reducedMotion: "reduce",
            ...options
          })
          context.setDefaultTimeout(60_000)
          if (person !== undefined) {
            const [name = "", value = ""] = person.cookie.split("=")
            await context.addCookies([{ name, value, url, httpOnly: true, sameSite: "Lax" }])
          }
          const page = await context.newPage()
          const complaints = complaintsOf(page)
          await page.goto((options.baseURL ?? url) + path)
          return { page, context, complaints }
        }
      })
    })
  ).pipe(Layer.provideMerge(TestApi.layer()))
}
