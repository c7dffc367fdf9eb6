import { HttpServerResponse, type HttpServerRequest } from "effect/http"
import { createHash } from "node:crypto"
import { gzipSync } from "node:zlib"

/** A document that is the same for everybody, ready to be sent. */
export interface StaticFile {
  readonly body: Uint8Array
  /** What of it is compressed, the best first; none where that would not be smaller by much. */
  readonly compressed: ReadonlyArray<Compressed>
  readonly etag: string
  readonly contentType: string
  readonly headers: { readonly [name: string]: string }
}

export interface Compressed {
  /** A content coding (RFC 9110 §8.4.1). */
  readonly coding: "br" | "gzip"
  readonly body: Uint8Array
}

/** `compressed`: what was compressed beforehand; what was not is compressed here, once. */
export const make = (
  body: Uint8Array,
  contentType: string,
  headers: { readonly [name: string]: string },
  compressed: ReadonlyArray<Compressed> = [{ coding: "gzip", body: new Uint8Array(gzipSync(body)) }]
): StaticFile => ({
  body,
  compressed: compressed.filter((one) => one.body.length < body.length * worthIt),
  etag: createHash("sha256").update(body).digest("base64url").slice(0, 22),
  contentType,
  headers
})

const worthIt = 0.9

/** 304 to who has it already (RFC 9110 §13.1.2); compressed for who takes that. */
export const respond = (
  file: StaticFile,
  { headers }: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse => {
  const accepts = headers["accept-encoding"]
  const compressed = file.compressed.find(({ coding }) => isAccepted(accepts, coding))
  // Another encoding is another representation, with an entity tag of its own.
  const etag = `"${file.etag}${compressed === undefined ? "" : `-${compressed.coding}`}"`
  const known = headers["if-none-match"]?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? []
  const all = { ...file.headers, etag, ...(file.compressed.length > 0 && { vary: "accept-encoding" }) }
  if (known.includes(etag)) return HttpServerResponse.empty({ status: 304, headers: all })
  return HttpServerResponse.uint8Array(compressed?.body ?? file.body, {
    contentType: file.contentType,
    headers: compressed === undefined ? all : { ...all, "content-encoding": compressed.coding }
  })
}

/** RFC 9110 §12.5.3: named, or meant by `*`, with a weight above 0. */
const isAccepted = (header: string | undefined, coding: Compressed["coding"]): boolean =>
  new RegExp(String.raw`(^|,)\s*(${coding}|\*)\s*(;\s*q=(1|0?\.\d*[1-9]))?\s*(,|$)`, "i").test(header ?? "")
