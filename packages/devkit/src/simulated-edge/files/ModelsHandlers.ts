import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { Conflict } from "@edge-relay/domain/edge-api/EdgeProblem"
import { Model, type ModelId } from "@edge-relay/domain/edge-api/Models"
import { Effect, FileSystem, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Clusters } from "../clusters/Clusters.ts"
import { fileAnswer } from "./FileAnswer.ts"
import { Flashes } from "../devices/Flashes.ts"
import { page } from "../Listing.ts"
import { ModelStore } from "./ModelStore.ts"

const encodeModel = Schema.encodeEffect(Model)

export const ModelsHandlers = HttpApiBuilder.group(
  EdgeApi,
  "models",
  Effect.fn(function* (handlers) {
    const models = yield* ModelStore
    const flashes = yield* Flashes
    const clusters = yield* Clusters
    const fs = yield* FileSystem.FileSystem

    const notWhileFlashed = Effect.fnUntraced(function* (id: ModelId) {
      if (yield* flashes.uses(id)) return yield* new Conflict({ detail: `${id} is being flashed` })
    })

    return handlers.handleAll({
      list: ({ query }) => Effect.flatMap(models.list, (items) => page(items, query)),
      upload: Effect.fn(function* ({ params, query, payload }) {
        yield* notWhileFlashed(params.modelId)
        const { details, isNew } = yield* models.put(params.modelId, payload, query.name ?? null)
        return HttpServerResponse.jsonUnsafe(yield* Effect.orDie(encodeModel(details)), {
          status: isNew ? 201 : 200
        })
      }),
      get: Effect.fn(function* ({ params, headers, request }) {
        const { details, path } = yield* models.find(params.modelId)
        const asked = headers.accept?.split(",").map((each) => each.split(";")[0]?.trim().toLowerCase())
        if (!asked?.includes("application/octet-stream")) return details
        return yield* fileAnswer(fs, request, { ...details, path, contentType: "application/octet-stream" })
      }),
      remove: Effect.fn(function* ({ params }) {
        yield* notWhileFlashed(params.modelId)
        if (yield* clusters.uses(params.modelId)) {
          return yield* new Conflict({ detail: `${params.modelId} is part of a cluster` })
        }
        yield* models.remove(params.modelId)
      })
    })
  })
)
