import { assert, describe, it } from "@effect/vitest"
import { isCrossSite, isForeignOrigin } from "../../src/session/CrossSite.ts"

const publicUrl = new URL("https://relay.example")

describe("a request of another site", () => {
  it("is told by Sec-Fetch-Site, and by Origin only without that", () => {
    const cases: ReadonlyArray<readonly [{ readonly [name: string]: string }, boolean]> = [
      [{}, false],
      [{ "sec-fetch-site": "same-origin" }, false],
      [{ "sec-fetch-site": "none" }, false],
      [{ "sec-fetch-site": "same-site" }, true],
      [{ "sec-fetch-site": "cross-site" }, true],
      [{ "sec-fetch-site": "anything" }, true],
      [{ "sec-fetch-site": "" }, true],
      [{ "sec-fetch-site": "cross-site", origin: "https://relay.example" }, true],
      [{ origin: "https://relay.example" }, false],
      [{ origin: "https://relay.example:444" }, true],
      [{ origin: "http://relay.example" }, true],
      [{ origin: "https://relay.example.evil.example" }, true],
      [{ origin: "null" }, true],
      [{ origin: "" }, true]
    ]
    for (const [headers, expected] of cases) {
      for (const method of ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"]) {
        assert.strictEqual(isCrossSite(method, headers, publicUrl), expected, JSON.stringify(headers))
      }
      for (const method of ["GET", "HEAD", "OPTIONS"]) {
        assert.isFalse(isCrossSite(method, headers, publicUrl))
      }
    }
  })

  it("is refused for a WebSocket by its Origin", () => {
    assert.isFalse(isForeignOrigin({}, publicUrl))
    assert.isFalse(isForeignOrigin({ origin: "https://relay.example" }, publicUrl))
    assert.isTrue(isForeignOrigin({ origin: "https://evil.example" }, publicUrl))
    assert.isTrue(isForeignOrigin({ origin: "null" }, publicUrl))
  })
})
