import { AuthApi } from "@edge-relay/domain/api/Auth"
import { Authorization } from "@edge-relay/domain/api/Authorization"
import { Unauthorized } from "@edge-relay/domain/api/Problem"
import { Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import type { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { readFile } from "node:fs/promises"
import { extname } from "node:path"
import { fileURLToPath } from "node:url"
import * as Routes from "./Routes.ts"
import * as SecurityHeaders from "./conventions/SecurityHeaders.ts"
import * as StaticFile from "./StaticFile.ts"

/**
 * The console: a handful of files, read once. Its pages are one document, for the signed-in only: a browser that
 * comes without a session is sent to sign in, and comes back to the page it asked for.
 */
export const layer = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const authorize = yield* Authorization
    const page = yield* load("/index.html")

    const servePage = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      authorize(
        Effect.sync(() => StaticFile.respond(page, request)),
        asEndpoint
      ).pipe(
        Effect.catch((error) => {
          if (error instanceof Unauthorized && isNavigation(request)) return Effect.succeed(toSignIn(request))
          return HttpServerRespondable.isRespondable(error)
            ? HttpServerRespondable.toResponse(error)
            : Effect.die(error)
        })
      )
    )
    for (const path of Routes.pages) yield* router.add("GET", toRouterPath(path), servePage)

    for (const path of Routes.files) {
      const file = yield* load(path)
      yield* router.add("GET", path, (request) => Effect.succeed(StaticFile.respond(file, request)))
    }
  })
)

/**
 * The middleware of the contract guards the pages too. Its types ask for the widest of endpoints, which the
 * compiler does not see in one that is declared: they are compatible.
 */
const asEndpoint = { group: AuthApi, endpoint: AuthApi.endpoints.me } as unknown as {
  readonly group: HttpApiGroup.Top
  readonly endpoint: HttpApiEndpoint.Top
}

const contentTypes: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml"
}

const load = Effect.fnUntraced(function* (path: string) {
  const location = fileURLToPath(import.meta.resolve(`@edge-relay/console/public${path}`))
  const body = new Uint8Array(yield* Effect.promise(() => readFile(location)))
  const extension = extname(path)
  return StaticFile.make(body, contentTypes[extension] ?? "application/octet-stream", {
    ...SecurityHeaders.ofPage,
    // Files are asked about each time, and answered 304: a new release is seen at once.
    "cache-control": extension === ".html" ? "no-store" : "no-cache"
  })
})

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
