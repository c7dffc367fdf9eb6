import { createServer, type Server } from "node:http"
import { createServer as createSecure } from "node:https"
import { TestCertificate } from "@edge-relay/testkit/TestCertificate"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { checkCloud, checkName, type CloudOptions } from "../src/doctor/CloudChecks.ts"
import type { Finding } from "../src/doctor/Finding.ts"

const serve = <S extends Server>(server: S) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      await new Promise<void>((resolve) => server.listen(0, "localhost", resolve))
      const address = server.address()
      return typeof address === "object" && address !== null ? address.port : 0
    }),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

/** As the api answers, but with a clock that is so many seconds off. */
const healthy =
  (seconds: number): Parameters<typeof createServer>[1] =>
  (_request, response) => {
    response.setHeader("Date", new Date(Date.now() + seconds * 1_000).toUTCString())
    response.setHeader("X-Request-Id", "1")
    response.end('{"status":"ok"}')
  }

const examine = (url: string, options: Partial<CloudOptions> = {}) =>
  checkCloud({ url: new URL(url), ca: undefined, environment: {}, proxy: undefined, ...options })

const of = (findings: ReadonlyArray<Finding>, check: string) =>
  findings.find((finding) => finding.check === check)

describe("the doctor", () => {
  it.live("judges the certificate, and the clock by the cloud's", () =>
    Effect.gen(function* () {
      const certificate = yield* Effect.acquireDisposable(Effect.sync(() => new TestCertificate()))
      const port = yield* serve(createSecure(certificate.tls, healthy(-120)))
      const url = `https://localhost:${port}`
      const [untrusted] = yield* examine(url)
      assert.include(untrusted, { check: "TLS", verdict: "failed" })
      assert.include(untrusted?.found, "--ca FILE")
      const findings = yield* examine(url, { ca: [String(certificate.tls.cert)] })
      // It lives for two days.
      assert.include(of(findings, "TLS"), { verdict: "warning" })
      assert.include(of(findings, "TLS")?.found, "localhost")
      assert.include(of(findings, "cloud"), { verdict: "ok" })
      assert.include(of(findings, "clock"), { verdict: "warning" })
      assert.match(of(findings, "clock")?.found ?? "", /^1[12]\d s ahead of the cloud's$/)
    })
  )

  it.live("tells another server from ours, a clock that is far off, and a proxy that is not there", () =>
    Effect.gen(function* () {
      const stranger = yield* serve(createServer((_request, response) => response.end("<h1>hello</h1>")))
      assert.include(of(yield* examine(`http://localhost:${stranger}`), "cloud"), { verdict: "failed" })
      const slow = yield* serve(createServer(healthy(3_600)))
      assert.include(of(yield* examine(`http://localhost:${slow}`), "clock"), { verdict: "failed" })
      const environment = { HTTP_PROXY: "http://127.0.0.1:1" }
      const [proxied] = yield* examine(`http://localhost:${slow}`, { environment })
      assert.include(proxied?.found, "cannot reach the proxy http://127.0.0.1:1")
      assert.include(yield* checkName(new URL("http://none.invalid"), undefined), { verdict: "failed" })
      assert.include(yield* checkName(new URL("http://localhost"), undefined), { verdict: "ok" })
    })
  )
})
