import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { gunzipSync } from "node:zlib"
import * as Routes from "../../src/http/Routes.ts"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"

layer(TestApi.layer(), { excludeTestServices: true })("The console", (it) => {
  it.effect(
    "is one page for the signed-in, which may load nothing but its own, and be framed by nobody",
    () =>
      Effect.gen(function* () {
        const { signIn, url } = yield* TestApi
        const { cookie } = yield* signIn("alice")
        const index = yield* ask(`${url}/`, { cookie })
        assert.match(index.body, /<title>Edge Relay<\/title>/)
        for (const path of ["/", "/pair", "/pair?code=BCDF-2345", "/edges/edge_1"]) {
          const { body, headers, status } = yield* ask(url + path, { cookie })
          assert.strictEqual(status, 200, path)
          assert.strictEqual(body, index.body)
          const policy = headers["content-security-policy"]?.toString() ?? ""
          for (const rule of [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'"
          ]) {
            assert.include(policy, rule)
          }
          assert.notInclude(policy, "unsafe")
          assert.strictEqual(headers["referrer-policy"], "same-origin")
          assert.strictEqual(headers["x-content-type-options"], "nosniff")
          assert.strictEqual(headers["cache-control"], "no-store")
          // Over http it would mean nothing.
          assert.isUndefined(headers["strict-transport-security"])
        }
        // What such a policy would not let run or apply.
        assert.notMatch(index.body, /<script(?![^>]*src=)|<style|\son\w+=|\sstyle=/)
      })
  )

  it.effect("has its files in their right types, sent once and compressed", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const types = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" }
      for (const path of Routes.files) {
        const first = yield* ask(url + path)
        const extension = path.slice(path.lastIndexOf(".") + 1) as keyof typeof types
        assert.include(first.headers["content-type"] ?? "", types[extension])
        assert.strictEqual(first.headers["x-content-type-options"], "nosniff")
        const etag = first.headers["etag"] ?? ""
        const again = yield* ask(url + path, { headers: { "if-none-match": `"other", W/${etag}` } })
        assert.deepStrictEqual([again.status, again.body, again.headers["etag"]], [304, "", etag])
        assert.strictEqual((yield* ask(url + path, { headers: { "if-none-match": '"other"' } })).status, 200)
      }
      const plain = yield* ask(`${url}/app.js`)
      const zipped = yield* ask(`${url}/app.js`, { headers: { "accept-encoding": "br, gzip" } })
      assert.strictEqual(zipped.headers["content-encoding"], "gzip")
      assert.strictEqual(zipped.headers["vary"], "accept-encoding")
      assert.notStrictEqual(zipped.headers["etag"], plain.headers["etag"])
      assert.strictEqual(gunzipSync(zipped.bytes).toString(), plain.body)
      const refused = yield* ask(`${url}/app.js`, { headers: { "accept-encoding": "gzip;q=0" } })
      assert.isUndefined(refused.headers["content-encoding"])
    })
  )

  it.effect("gives nothing but what it lists", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const { cookie } = yield* signIn("alice")
      for (const path of [
        "/index.html",
        "/package.json",
        "/../package.json",
        "/%2e%2e/package.json",
        "/app.js/",
        "/App.js",
        "/public/app.js",
        "/app.js%00"
      ]) {
        assert.strictEqual((yield* ask(url + path, { cookie })).status, 404, path)
      }
    })
  )
})

layer(TestApi.layer({ PUBLIC_URL: "https://relay.example.com", OIDC_ISSUER: "https://login.example.com" }), {
  excludeTestServices: true
})("Behind https", (it) => {
  it.effect("every answer says that it stays there, and the cookie is bound to the host", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const { cookie } = yield* signIn("alice")
      assert.match(cookie, /^__Host-session=/)
      for (const path of ["/", "/app.js", "/api/edges", "/docs", "/nothing"]) {
        const { headers } = yield* ask(url + path, { cookie })
        assert.match(headers["strict-transport-security"] ?? "", /^max-age=63072000/, path)
      }
    })
  )
})
