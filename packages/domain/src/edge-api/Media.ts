/** Images and videos kept on the edge. Bodies are the bytes themselves and are streamed, never held in memory. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { EdgeList, EdgeListQuery } from "./EdgeList.ts"
import {
  InsufficientStorage,
  NotFound,
  PayloadTooLarge,
  RangeNotSatisfiable,
  UnsupportedMediaType
} from "./EdgeProblem.ts"
import { EdgeTime } from "./EdgeTime.ts"
import { partialContent } from "./PartialContent.ts"

/** Largest upload, in bytes: 2 GiB. */
export const maxMediaBytes = 2 * 1024 * 1024 * 1024

/** What can be kept. */
export const mediaTypes = [
  "image/jpeg",
  "image/png",
  "image/webp",
  "image/gif",
  "video/mp4",
  "video/webm",
  "video/quicktime",
  "video/x-matroska"
] as const

export const MediaType = Schema.Literals(mediaTypes)
export type MediaType = typeof MediaType.Type

/** Given by the edge. */
export const MediaId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
    expected: "1 to 64 letters, digits, dots, hyphens and underscores"
  })
).pipe(Schema.brand("MediaId"))
export type MediaId = typeof MediaId.Type

export const MediaKind = Schema.Literals(["image", "video"])

export const Media = Schema.Struct({
  id: MediaId,
  name: Schema.String,
  kind: MediaKind,
  contentType: MediaType,
  sizeBytes: Schema.Natural,
  /** Of the bytes, lower-case hexadecimal. */
  sha256: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)),
  createdAt: EdgeTime
}).annotate({ identifier: "Media" })
export interface Media extends Schema.Schema.Type<typeof Media> {}

/** A name for people: 1–200 characters, none of them a control character. */
export const FileName = Schema.String.check(
  Schema.isBetweenLength(1, 200),
  Schema.isPattern(/^[^\p{Cc}\p{Cs}]*$/u, { expected: "text without control characters" })
)

const params = { mediaId: MediaId }

export class MediaApi extends HttpApiGroup.make("media")
  .add(
    HttpApiEndpoint.get("list", "/media", {
      query: { ...EdgeListQuery, kind: Schema.optionalKey(MediaKind) },
      success: EdgeList(Media)
    }).annotate(OpenApi.Summary, "What is kept, newest first"),
    HttpApiEndpoint.post("upload", "/media", {
      query: { name: Schema.optionalKey(FileName) },
      payload: HttpApiSchema.StreamUint8Array({ contentType: mediaTypes, maxBytes: maxMediaBytes }),
      success: Media.pipe(HttpApiSchema.status(201)),
      error: [PayloadTooLarge, UnsupportedMediaType, InsufficientStorage]
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Keep an image or a video of up to 2 GiB",
        description:
          "The body is the file itself. It is kept whole or not at all: an upload that breaks off leaves nothing."
      })
    ),
    HttpApiEndpoint.get("download", "/media/:mediaId", {
      params,
      headers: { range: Schema.optionalKey(Schema.String) },
      success: HttpApiSchema.StreamUint8Array({ contentType: mediaTypes }),
      error: [NotFound, RangeNotSatisfiable]
    }).annotateMerge(
      OpenApi.annotations({
        summary: "The file",
        transform: partialContent,
        description:
          "Takes one `Range` of bytes and then answers 206 with `Content-Range` (RFC 9110 §14); has `ETag`, `Accept-Ranges` and `Content-Length`."
      })
    ),
    HttpApiEndpoint.delete("remove", "/media/:mediaId", {
      params,
      success: HttpApiSchema.NoContent,
      error: NotFound
    }).annotate(OpenApi.Summary, "Remove it; a download under way still ends")
  )
  .annotateMerge(OpenApi.annotations({ title: "Media" })) {}
