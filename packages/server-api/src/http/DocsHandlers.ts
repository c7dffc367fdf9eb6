import { PublicApi } from "@edge-relay/domain/api/CloudApi"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import { HttpApiScalar, OpenApi } from "effect/http-api"
import { createHash } from "node:crypto"
import * as SecurityHeaders from "./conventions/SecurityHeaders.ts"
import * as StaticFile from "./StaticFile.ts"

/** The contract as documents: `/openapi.json` for programs, `/docs` for people. Public, and the same for all. */
export const layer = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    // Made when first asked for: most servers never are, and all of them start.
    const [document, page] = yield* Effect.all([
      Effect.cached(Effect.sync(makeDocument)),
      Effect.cached(makePage)
    ])
    for (const [path, file] of [
      ["/openapi.json", document],
      ["/docs", page]
    ] as const) {
      yield* router.add("GET", path, (request) =>
        Effect.map(file, (file) => StaticFile.respond(file, request))
      )
    }
  })
)

const headers = { ...SecurityHeaders.ofPage, "cache-control": "no-cache" }

const makeDocument = () =>
  StaticFile.make(
    new TextEncoder().encode(JSON.stringify(OpenApi.fromApi(PublicApi))),
    "application/json",
    headers
  )

const makePage = Effect.suspend(() => renderPage).pipe(
  Effect.map((html) =>
    StaticFile.make(html, "text/html; charset=utf-8", {
      ...headers,
      "content-security-policy": policyOf(new TextDecoder().decode(html))
    })
  )
)

/** Scalar's page of three megabytes, made once. */
const renderPage = Effect.gen(function* () {
  const router = yield* HttpRouter.make
  yield* Layer.build(
    HttpApiScalar.layer(PublicApi, {
      path: "/docs",
      // Its fonts and its request proxy are its maker's servers: nothing of ours goes there.
      scalar: { withDefaultFonts: false, favicon: "/favicon.svg" }
    }).pipe(Layer.provide(Layer.succeed(HttpRouter.HttpRouter, router)))
  )
  const request = HttpServerRequest.fromWeb(new Request("http://localhost/docs"))
  const { body } = yield* router
    .asHttpEffect()
    .pipe(Effect.provideService(HttpServerRequest.HttpServerRequest, request), Effect.orDie)
  return body._tag === "Uint8Array" ? body.body : yield* Effect.die("Scalar's page has no text")
}).pipe(Effect.scoped)

/**
 * The page has its scripts inside it, so they are allowed by their hashes; its styles are made by those scripts.
 * `connect-src` lets the page try the API out, as the signed-in person, on our own origin only.
 */
const policyOf = (html: string): string => {
  const scripts = Array.from(html.matchAll(/<script>([\s\S]*?)<\/script>/g), ([, source = ""]) => {
    const hash = createHash("sha256").update(source).digest("base64")
    return `'sha256-${hash}'`
  })
  return (
    `default-src 'none'; script-src ${scripts.join(" ")}; style-src 'unsafe-inline'; img-src 'self' data:; ` +
    "font-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
  )
}
