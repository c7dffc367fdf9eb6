import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { readdir, readFile } from "node:fs/promises"
import { extname } from "node:path"
import { fileURLToPath } from "node:url"
import * as Routes from "./Routes.ts"
import * as SecurityHeaders from "./conventions/SecurityHeaders.ts"
import * as StaticFile from "./StaticFile.ts"

/**
 * The console: a handful of files, read once. Its pages are one document, the same for everybody: who is not signed
 * in reads there what this is and how to sign in, and comes back to the page that they asked for.
 */
export const layer = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    // What the console is made of has no secrets: whom it shows what, the API says.
    const page = yield* load("/index.html", "no-store")
    for (const path of Routes.pages) {
      yield* router.add("GET", toRouterPath(path), (request) =>
        Effect.succeed(StaticFile.respond(page, request))
      )
    }
    const icon = yield* load("/favicon.svg", "no-cache")
    yield* router.add("GET", "/favicon.svg", (request) => Effect.succeed(StaticFile.respond(icon, request)))

    const assets = yield* loadAssets
    yield* router.add("GET", "/assets/:segment", (request) => {
      const asset = assets.get(request.url.slice("/assets/".length).split("?", 1)[0] ?? "")
      return asset === undefined
        ? Effect.succeed(HttpServerResponse.empty({ status: 404 }))
        : Effect.succeed(StaticFile.respond(asset, request))
    })
  })
)

const contentTypes: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml"
}

/** Where the built console lies, with a slash at its end. */
const folder = fileURLToPath(new URL("./", import.meta.resolve("@edge-relay/console/dist/index.html")))

const read = (path: string) =>
  Effect.promise(() => readFile(folder + path)).pipe(Effect.map((body) => new Uint8Array(body)))

const load = Effect.fnUntraced(function* (path: string, cacheControl: string) {
  return make(path, yield* read(path), cacheControl)
})

const make = (
  path: string,
  body: Uint8Array,
  cacheControl: string,
  compressed?: ReadonlyArray<StaticFile.Compressed>
) =>
  StaticFile.make(
    body,
    contentTypes[extname(path)] ?? "application/octet-stream",
    { ...SecurityHeaders.ofPage, "cache-control": cacheControl },
    compressed
  )

/** By name. A name has the hash of what is in it, so that a browser never needs to ask again. */
const loadAssets = Effect.gen(function* () {
  const names = yield* Effect.promise(() => readdir(`${folder}assets`))
  const assets = new Map<string, StaticFile.StaticFile>()
  for (const name of names) {
    if (/\.(br|gz)$/.test(name)) continue
    const path = `assets/${name}`
    const compressed = [
      { coding: "br", body: yield* read(`${path}.br`) },
      { coding: "gzip", body: yield* read(`${path}.gz`) }
    ] as const
    assets.set(name, make(path, yield* read(path), "public, max-age=31536000, immutable", compressed))
  }
  return assets
})

const toRouterPath = (path: string): `/${string}` => `/${path.slice(1).replaceAll("*", ":segment")}`
