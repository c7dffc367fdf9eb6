import { AuthApi } from "@edge-relay/domain/api/Auth"
import { Authorization } from "@edge-relay/domain/api/Authorization"
import { Unauthorized } from "@edge-relay/domain/api/Problem"
import { Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import type { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { extname } from "node:path"
import { fileURLToPath } from "node:url"
import * as Routes from "./Routes.ts"

/**
 * The console: a handful of files, read once. Its pages are one document, for the signed-in only: a browser that
 * comes without a session is sent to sign in, and comes back to the page it asked for.
 */
export const layer = (options: { readonly publicUrl: URL }) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const authorize = yield* Authorization
      const page = yield* load("/index.html", options.publicUrl)

      const servePage = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        authorize(
          Effect.sync(() => serve(page, request)),
          asEndpoint
        ).pipe(
          Effect.catch((error) => {
            if (error instanceof Unauthorized && isNavigation(request))
              return Effect.succeed(toSignIn(request))
            return HttpServerRespondable.isRespondable(error)
              ? HttpServerRespondable.toResponse(error)
              : Effect.die(error)
          })
        )
      )
      for (const path of Routes.pages) yield* router.add("GET", toRouterPath(path), servePage)

      for (const path of Routes.files) {
        const file = yield* load(path, options.publicUrl)
        yield* router.add("GET", path, (request) => Effect.succeed(serve(file, request)))
      }
    })
  )

/** The middleware of the contract guards the pages too. Its types ask for the widest of endpoints, which the
 * compiler does not see in one that is declared: they are compatible. */
const asEndpoint = { group: AuthApi, endpoint: AuthApi.endpoints.me } as unknown as {
  readonly group: HttpApiGroup.Top
  readonly endpoint: HttpApiEndpoint.Top
}

interface File {
  readonly body: Uint8Array
  readonly contentType: string
  readonly headers: { readonly [name: string]: string }
}

const contentTypes: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml"
}

const load = Effect.fnUntraced(function* (path: string, publicUrl: URL) {
  const location = fileURLToPath(import.meta.resolve(`@edge-relay/console/public${path}`))
  const body = new Uint8Array(yield* Effect.promise(() => readFile(location)))
  const extension = extname(path)
  const file: File = {
    body,
    contentType: contentTypes[extension] ?? "application/octet-stream",
    headers: {
      etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`,
      // Asked about each time, answered 304: a new release is seen at once.
      "cache-control": extension === ".html" ? "no-store" : "no-cache",
      ...securityHeaders(publicUrl)
    }
  }
  return file
})

/** What a page of ours may do: load its own files, talk to its own origin, and be framed by nobody. */
export const securityHeaders = (publicUrl: URL): { readonly [name: string]: string } => ({
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  // Two years, as preload lists want it. Over http the header means nothing (RFC 6797 §8.1).
  ...(publicUrl.protocol === "https:"
    ? { "strict-transport-security": "max-age=63072000; includeSubDomains" }
    : {})
})

const serve = (
  file: File,
  request: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse => {
  const known =
    request.headers["if-none-match"]?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? []
  const etag = file.headers["etag"]
  return etag !== undefined && known.includes(etag)
    ? HttpServerResponse.empty({ status: 304, headers: file.headers })
    : HttpServerResponse.uint8Array(file.body, { contentType: file.contentType, headers: file.headers })
}

/** From a browser's address bar, or a link: not from a script, and not from a program. */
const isNavigation = ({ method, headers }: HttpServerRequest.HttpServerRequest): boolean =>
  method === "GET" &&
  headers["sec-fetch-mode"] === "navigate" &&
  (headers["accept"] ?? "").includes("text/html")

const toSignIn = ({ url }: HttpServerRequest.HttpServerRequest): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.redirect(`/api/auth/login?returnTo=${encodeURIComponent(url)}`, {
    status: 302,
    headers: { "cache-control": "no-store" }
  })

const toRouterPath = (path: string): `/${string}` => `/${path.slice(1).replaceAll("*", ":segment")}`
