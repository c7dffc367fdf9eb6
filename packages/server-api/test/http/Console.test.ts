import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { brotliDecompressSync, gunzipSync } from "node:zlib"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"

layer(TestApi.layer(), { excludeTestServices: true })("The console", (it) => {
  it.effect(
    "is one page, the same for everybody, which may load nothing but its own, and be framed by nobody",
    () =>
      Effect.gen(function* () {
        const { signIn, url } = yield* TestApi
        const { cookie } = yield* signIn("alice")
        const index = yield* ask(`${url}/`)
        assert.match(index.body, /<title>Edge Relay<\/title>/)
        for (const path of ["/", "/pair", "/pair?code=BCDF-2345", "/edges/edge_1", "/audit", "/sign-ins"]) {
          const { body, headers, status } = yield* ask(url + path, { cookie })
          assert.strictEqual(status, 200, path)
          assert.strictEqual(body, index.body)
          const policy = headers["content-security-policy"]?.toString() ?? ""
          for (const rule of [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'"
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

  it.effect("has its files in their right types, named after what is in them and kept for good", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const names = yield* assetsOf(url)
      assert.isTrue(names.some((name) => name.endsWith(".js")))
      assert.isTrue(names.some((name) => name.endsWith(".css")))
      for (const path of [...names, "/favicon.svg"]) {
        const first = yield* ask(url + path)
        const extension = path.slice(path.lastIndexOf(".") + 1) as keyof typeof types
        assert.include(first.headers["content-type"] ?? "", types[extension])
        assert.strictEqual(first.headers["x-content-type-options"], "nosniff")
        assert.strictEqual(
          first.headers["cache-control"],
          path === "/favicon.svg" ? "no-cache" : "public, max-age=31536000, immutable"
        )
        const etag = first.headers["etag"] ?? ""
        const again = yield* ask(url + path, { headers: { "if-none-match": `"other", W/${etag}` } })
        assert.deepStrictEqual([again.status, again.body, again.headers["etag"]], [304, "", etag])
        assert.strictEqual((yield* ask(url + path, { headers: { "if-none-match": '"other"' } })).status, 200)
      }
    })
  )

  it.effect("sends its files as small as the browser takes them", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const path = (yield* assetsOf(url)).find((name) => name.endsWith(".js")) ?? ""
      const plain = yield* ask(url + path)
      const as = (coding: string) => ask(url + path, { headers: { "accept-encoding": coding } })
      const brotli = yield* as("gzip, deflate, br")
      const gzip = yield* as("gzip")
      assert.strictEqual(brotli.headers["content-encoding"], "br")
      assert.strictEqual(brotliDecompressSync(brotli.bytes).toString(), plain.body)
      assert.strictEqual(gzip.headers["content-encoding"], "gzip")
      assert.strictEqual(gunzipSync(gzip.bytes).toString(), plain.body)
      for (const { headers } of [plain, brotli, gzip]) assert.strictEqual(headers["vary"], "accept-encoding")
      const tags = [plain, brotli, gzip].map(({ headers }) => headers["etag"])
      assert.strictEqual(new Set(tags).size, 3)
      assert.isUndefined((yield* as("gzip;q=0, br;q=0")).headers["content-encoding"])
    })
  )

  it.effect("gives nothing but what it lists", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const { cookie } = yield* signIn("alice")
      const [asset = ""] = yield* assetsOf(url)
      for (const path of [
        "/index.html",
        "/package.json",
        "/../package.json",
        "/%2e%2e/package.json",
        "/assets/../index.html",
        "/assets/%2e%2e%2findex.html",
        "/assets/nothing.js",
        "/assets/",
        `${asset}/`,
        `${asset}.gz`,
        `${asset}.br`,
        `${asset}%00`
      ]) {
        assert.strictEqual((yield* ask(url + path, { cookie })).status, 404, path)
      }
    })
  )
})

const types = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" }

/** What the page loads. */
const assetsOf = (url: string) =>
  Effect.map(ask(`${url}/`), ({ body }) =>
    Array.from(body.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g), ([, path = ""]) => path)
  )

layer(TestApi.layer({ PUBLIC_URL: "https://relay.example.com", OIDC_ISSUER: "https://login.example.com" }), {
  excludeTestServices: true
})("Behind https", (it) => {
  it.effect("every answer says that it stays there, and the cookie is bound to the host", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const { cookie } = yield* signIn("alice")
      assert.match(cookie, /^__Host-session=/)
      for (const path of ["/", "/favicon.svg", "/api/edges", "/docs", "/nothing"]) {
        const { headers } = yield* ask(url + path, { cookie })
        assert.match(headers["strict-transport-security"] ?? "", /^max-age=63072000/, path)
      }
    })
  )
})
