/** Models kept on the edge, to be flashed to its devices. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { EdgeList, EdgeListQuery } from "./EdgeList.ts"
import {
  Conflict,
  InsufficientStorage,
  NotFound,
  PayloadTooLarge,
  RangeNotSatisfiable,
  UnsupportedMediaType
} from "./EdgeProblem.ts"
import { EdgeTime } from "./EdgeTime.ts"
import { partialContent } from "./PartialContent.ts"
import { FileName } from "./Media.ts"

/** Largest upload, in bytes: 2 GiB. */
export const maxModelBytes = 2 * 1024 * 1024 * 1024

/** Chosen by who uploads it; 1–64 of letters, digits, dot, hyphen and underscore. */
export const ModelId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
    expected: "1 to 64 letters, digits, dots, hyphens and underscores"
  })
).pipe(Schema.brand("ModelId"))
export type ModelId = typeof ModelId.Type

export const Model = Schema.Struct({
  id: ModelId,
  name: Schema.String,
  sizeBytes: Schema.Natural,
  /** Of the bytes, lower-case hexadecimal. */
  sha256: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)),
  createdAt: EdgeTime
}).annotate({ identifier: "Model" })
export interface Model extends Schema.Schema.Type<typeof Model> {}

const params = { modelId: ModelId }

export class ModelsApi extends HttpApiGroup.make("models")
  .add(
    HttpApiEndpoint.get("list", "/models", { query: EdgeListQuery, success: EdgeList(Model) }).annotate(
      OpenApi.Summary,
      "The models, by id"
    ),
    HttpApiEndpoint.put("upload", "/models/:modelId", {
      params,
      query: { name: Schema.optionalKey(FileName) },
      payload: HttpApiSchema.StreamUint8Array({ maxBytes: maxModelBytes }),
      success: [
        Model.pipe(HttpApiSchema.status(201)).annotate({ description: "It is new" }),
        Model.annotate({ description: "It replaced the one of that id" })
      ],
      error: [Conflict, PayloadTooLarge, UnsupportedMediaType, InsufficientStorage]
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Keep a model of up to 2 GiB under this id",
        description:
          "The body is the file itself. It replaces the old one whole or not at all; refused while that one is being flashed. Without `name` the id serves."
      })
    ),
    HttpApiEndpoint.get("get", "/models/:modelId", {
      params,
      headers: { accept: Schema.optionalKey(Schema.String), range: Schema.optionalKey(Schema.String) },
      success: [Model, HttpApiSchema.StreamUint8Array()],
      error: [NotFound, RangeNotSatisfiable]
    }).annotateMerge(
      OpenApi.annotations({
        summary: "One model",
        transform: partialContent,
        description:
          "JSON about it; with `Accept: application/octet-stream` the file itself, of which one `Range` of bytes can be asked for."
      })
    ),
    HttpApiEndpoint.delete("remove", "/models/:modelId", {
      params,
      success: HttpApiSchema.NoContent,
      error: [NotFound, Conflict]
    }).annotate(OpenApi.Summary, "Remove it; refused while it is being flashed or is part of a cluster")
  )
  .annotateMerge(OpenApi.annotations({ title: "Models" })) {}
