import { HttpServerResponse, type HttpServerRequest } from "effect/http"
import { createHash } from "node:crypto"
import { gzipSync } from "node:zlib"

/** A document that is the same for everybody, ready to be sent. */
export interface StaticFile {
  readonly body: Uint8Array
  /** Undefined where that would not be smaller by much. */
  readonly gzipped: Uint8Array | undefined
  readonly etag: string
  readonly contentType: string
  readonly headers: { readonly [name: string]: string }
}

export const make = (
  body: Uint8Array,
  contentType: string,
  headers: { readonly [name: string]: string }
): StaticFile => {
  const gzipped = new Uint8Array(gzipSync(body))
  return {
    body,
    gzipped: gzipped.length < body.length * worthIt ? gzipped : undefined,
    etag: createHash("sha256").update(body).digest("base64url").slice(0, 22),
    contentType,
    headers
  }
}

const worthIt = 0.9

/** 304 to who has it already (RFC 9110 §13.1.2); compressed for who takes that. */
export const respond = (
  file: StaticFile,
  { headers }: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse => {
  const compressed = acceptsGzip(headers["accept-encoding"]) ? file.gzipped : undefined
  // Another encoding is another representation, with an entity tag of its own.
  const etag = `"${file.etag}${compressed === undefined ? "" : "-gzip"}"`
  const known = headers["if-none-match"]?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? []
  const all = { ...file.headers, etag, ...(file.gzipped === undefined ? {} : { vary: "accept-encoding" }) }
  if (known.includes(etag)) return HttpServerResponse.empty({ status: 304, headers: all })
  return HttpServerResponse.uint8Array(compressed ?? file.body, {
    contentType: file.contentType,
    headers: compressed === undefined ? all : { ...all, "content-encoding": "gzip" }
  })
}

const acceptsGzip = (header: string | undefined): boolean =>
  /(^|,)\s*(gzip|\*)\s*(;\s*q=(1|0?\.\d*[1-9]))?\s*(,|$)/i.test(header ?? "")
