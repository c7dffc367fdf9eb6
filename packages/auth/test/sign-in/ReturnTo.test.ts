import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { safeReturnTo } from "../../src/sign-in/ReturnTo.ts"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { start } from "@edge-relay/testkit/auth/Hostile"

const publicUrl = new URL("https://relay.example")

/** What may be asked for, and where it leads. */
const taken = [
  ["/", "/"],
  ["/edges", "/edges"],
  ["/edges/edge_1?tab=traffic&q=a%20b", "/edges/edge_1?tab=traffic&q=a%20b"],
  ["/edges#below", "/edges#below"],
  ["/a/../b", "/b"],
  ["/%2F%2Fevil.example", "/%2F%2Fevil.example"],
  ["/@evil.example", "/@evil.example"],
  ["/?next=https://evil.example", "/?next=https://evil.example"],
  [`/${"a".repeat(2047)}`, `/${"a".repeat(2047)}`]
] as const

/** What must lead to `/`. */
const refused = [
  "",
  "edges",
  "./edges",
  "../edges",
  "?a=b",
  "#a",
  "//evil.example",
  "//evil.example/path",
  "///evil.example",
  "////evil.example",
  "/\\evil.example",
  "\\/evil.example",
  "\\\\evil.example",
  "/\\/evil.example",
  "/.\\evil.example",
  "/a\\b",
  "//\\evil.example",
  "/.//evil.example",
  "/..//evil.example",
  "/a/..//evil.example",
  "/./..//evil.example/",
  "/%2e//evil.example",
  "/%2E%2e//evil.example",
  "https://evil.example",
  "https:evil.example",
  "https:/evil.example",
  "HTTPS://evil.example",
  "http://relay.example",
  "https://relay.example@evil.example",
  "https://relay.example.evil.example",
  "https://relay.example:444/",
  "https://relay.example/",
  "javascript:alert(1)",
  "JaVaScRiPt:alert(1)",
  "data:text/html,<script>alert(1)</script>",
  "file:///etc/passwd",
  "ftp://evil.example",
  "mailto:a@evil.example",
  " /edges",
  "/edges ",
  " //evil.example",
  "\t/edges",
  "/\t/evil.example",
  "/\n/evil.example",
  "/\r/evil.example",
  "/edges\r\nset-cookie: session=1",
  "/edges\u0000",
  "/edges\u007f",
  "/\u2028/evil.example",
  "/\u3002evil.example",
  "／/evil.example",
  "/／evil.example",
  "\ufeff/edges",
  "evil.example",
  "@evil.example",
  `/${"a".repeat(2048)}`
]

describe("returnTo", () => {
  for (const [given, path] of taken) {
    it(`takes ${JSON.stringify(given.slice(0, 60))}`, () => {
      assert.strictEqual(safeReturnTo(given, publicUrl), path)
    })
  }

  for (const given of refused) {
    it(`sends ${JSON.stringify(given.slice(0, 60))} to /`, () => {
      assert.strictEqual(safeReturnTo(given, publicUrl), "/")
    })
  }

  it("is / where nothing is asked for", () => {
    assert.strictEqual(safeReturnTo(undefined, publicUrl), "/")
  })

  it.effect.prop("never leaves our origin, whatever it is", [Schema.String], ([given]) =>
    Effect.sync(() => {
      for (const one of [given, `/${given}`, `//${given}`]) {
        const path = safeReturnTo(one, publicUrl)
        assert.isTrue(path.startsWith("/") && !path.startsWith("//"))
        assert.strictEqual(new URL(path, publicUrl).origin, publicUrl.origin)
      }
    })
  )

  it.live("leads home from a real sign-in in each of these forms", () =>
    Effect.gen(function* () {
      const app = yield* start({ perMinute: { begin: 1000, callback: 1000 } })
      for (const given of refused) {
        const browser = new Browser()
        const callback = yield* app.toCallback(browser, given)
        const answer = yield* browser.fetch(callback)
        assert.strictEqual(answer.headers["location"], "/", JSON.stringify(given))
        assert.strictEqual(answer.setCookies.length, 1)
      }
    })
  )
})
