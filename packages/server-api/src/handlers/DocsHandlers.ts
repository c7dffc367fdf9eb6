import { PublicApi } from "@edge-relay/domain/api/CloudApi"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiScalar, OpenApi } from "effect/http-api"
import { createHash } from "node:crypto"
import { securityHeaders } from "../Console.ts"

/** The contract as documents: `/openapi.json` for programs, `/docs` for people. Public, and the same for all. */
export const layer = (options: { readonly publicUrl: URL }) =>
  Layer.mergeAll(
    HttpRouter.use(
      Effect.fnUntraced(function* (router) {
        const document = HttpServerResponse.jsonUnsafe(OpenApi.fromApi(PublicApi), {
          headers: { "cache-control": "no-cache", ...securityHeaders(options.publicUrl) }
        })
        yield* router.add("GET", "/openapi.json", document)
      })
    ),
    HttpApiScalar.layer(PublicApi, { path: "/docs", scalar }).pipe(
      Layer.provide(withHeaders(options.publicUrl).layer)
    )
  )

/** Fonts, the AI agent and the request proxy of Scalar are its maker's servers: nothing of ours goes there. */
const scalar = {
  withDefaultFonts: false,
  proxyUrl: "",
  telemetry: false
} as const

/**
 * The page has its scripts inside it, so they are allowed by their hashes; its styles are made by those scripts.
 * `connect-src` lets the page try the API out, as the signed-in person, on our own origin only.
 */
const withHeaders = (publicUrl: URL) =>
  HttpRouter.middleware((effect) =>
    Effect.map(effect, (response) => {
      const html = response.body._tag === "Uint8Array" ? new TextDecoder().decode(response.body.body) : ""
      return HttpServerResponse.setHeaders(response, {
        ...securityHeaders(publicUrl),
        "content-security-policy": policy(html),
        "cache-control": "no-cache"
      })
    })
  )

const policy = (html: string): string => {
  const scripts = Array.from(html.matchAll(/<script>([\s\S]*?)<\/script>/g), ([, source = ""]) => {
    const hash = createHash("sha256").update(source).digest("base64")
    return `'sha256-${hash}'`
  })
  return (
    `default-src 'none'; script-src ${scripts.join(" ")}; style-src 'unsafe-inline'; img-src 'self' data:; ` +
    "font-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
  )
}
