import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { MediaType } from "@edge-relay/domain/edge-api/Media"
import { Effect, FileSystem, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { fileAnswer } from "./FileAnswer.ts"
import { page } from "../Listing.ts"
import { MediaStore } from "./MediaStore.ts"

export const MediaHandlers = HttpApiBuilder.group(
  EdgeApi,
  "media",
  Effect.fn(function* (handlers) {
    const media = yield* MediaStore
    const fs = yield* FileSystem.FileSystem
    return handlers.handleAll({
      list: Effect.fn(function* ({ query }) {
        const all = yield* media.list
        return yield* page(
          all.filter(({ kind }) => query.kind === undefined || kind === query.kind),
          query
        )
      }),
      upload: Effect.fn(function* ({ query, payload, request }) {
        // The endpoint takes no other type, so this is one of them.
        const contentType = yield* Effect.orDie(
          Schema.decodeUnknownEffect(MediaType)(
            request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase()
          )
        )
        return yield* media.add(payload, { name: query.name ?? null, contentType })
      }),
      download: Effect.fn(function* ({ params, request }) {
        const { details, path } = yield* media.find(params.mediaId)
        return yield* fileAnswer(fs, request, { ...details, path })
      }),
      remove: ({ params }) => media.remove(params.mediaId)
    })
  })
)
