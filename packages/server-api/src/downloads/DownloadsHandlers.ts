import { NotFound } from "@edge-relay/domain/api/Problem"
import { Effect } from "effect"
import { HttpPlatform, HttpRouter, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { Config } from "../Config.ts"
import { Downloads, hasAgent } from "./Downloads.ts"
import * as InstallScript from "./InstallScript.ts"

/** What a machine fetches that is to be paired: the script, the files that the operator offers, and their index. */
export const layer = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const downloads = yield* Downloads
    const platform = yield* HttpPlatform.HttpPlatform
    const { publicUrl } = yield* Config

    yield* router.add(
      "GET",
      "/install.sh",
      Effect.flatMap(downloads.list, (files) =>
        hasAgent(files)
          ? Effect.succeed(
              HttpServerResponse.text(InstallScript.render(publicUrl.origin, files), {
                // As text, so that a browser shows what a person is about to run.
                contentType: "text/plain; charset=utf-8",
                headers
              })
            )
          : missing("This server offers no agent: its operator has set no DOWNLOADS_DIR.")
      )
    )

    yield* router.add(
      "GET",
      "/downloads",
      Effect.map(downloads.list, (items) => HttpServerResponse.jsonUnsafe({ items }, { headers }))
    )

    yield* router.add(
      "GET",
      "/downloads/:name",
      Effect.gen(function* () {
        const { name = "" } = yield* HttpRouter.params
        const found = (yield* downloads.list).find((file) => file.name === name)
        if (found === undefined) return yield* missing("There is no such download.")
        return yield* HttpServerResponse.file(downloads.path(name), {
          contentType: "application/octet-stream",
          headers: { ...headers, "content-disposition": `attachment; filename="${name}"` }
        }).pipe(
          Effect.provideService(HttpPlatform.HttpPlatform, platform),
          // Gone between the look and the opening.
          Effect.catch(() => missing("There is no such download."))
        )
      })
    )
  })
)

/** A new version has the same name: it is asked for each time. */
const headers = { "cache-control": "no-cache" }

const missing = (detail: string) => HttpServerRespondable.toResponse(new NotFound({ detail }))
