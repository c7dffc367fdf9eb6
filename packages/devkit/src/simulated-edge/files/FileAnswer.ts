/** Answers with a stored file, or the one range of its bytes that was asked for (RFC 9110 §14). */
import { RangeNotSatisfiable } from "@edge-relay/domain/edge-api/EdgeProblem"
import { Effect, type FileSystem } from "effect"
import { HttpServerRespondable, HttpServerResponse, type HttpServerRequest } from "effect/http"

export interface StoredFile {
  readonly path: string
  readonly sizeBytes: number
  readonly sha256: string
  readonly contentType: string
}

/** Bytes read at a time. */
const chunkSize = 256 * 1024

export const fileAnswer = Effect.fn("fileAnswer")(function* (
  fs: FileSystem.FileSystem,
  request: HttpServerRequest.HttpServerRequest,
  file: StoredFile
) {
  const etag = `"${file.sha256}"`
  const headers = {
    etag,
    "accept-ranges": "bytes",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff"
  }
  if (request.headers["if-none-match"] === etag) return HttpServerResponse.empty({ status: 304, headers })
  // §13.1.5: a range of another version is not what the client wants; it gets the whole.
  const stale = (request.headers["if-range"] ?? etag) !== etag
  const range = stale ? "whole" : rangeOf(request.headers["range"], file.sizeBytes)
  if (range === "unsatisfiable") {
    const problem = new RangeNotSatisfiable({ detail: `the file has ${file.sizeBytes} bytes` })
    const response = yield* HttpServerRespondable.toResponse(problem)
    return HttpServerResponse.setHeader(response, "content-range", `bytes */${file.sizeBytes}`)
  }
  const [first, last] = range === "whole" ? [0, file.sizeBytes - 1] : range
  const length = last - first + 1
  const bytes = fs.stream(file.path, { offset: first, bytesToRead: length, chunkSize })
  return HttpServerResponse.stream(bytes, {
    status: range === "whole" ? 200 : 206,
    contentType: file.contentType,
    contentLength: length,
    headers:
      range === "whole"
        ? headers
        : { ...headers, "content-range": `bytes ${first}-${last}/${file.sizeBytes}` }
  })
})

/** What a `Range` header asks for; several ranges, or anything else that §14.2 lets a server ignore, is the whole. */
const rangeOf = (
  header: string | undefined,
  size: number
): "whole" | "unsatisfiable" | readonly [number, number] => {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "")
  if (match === null) return "whole"
  const [, first = "", last = ""] = match
  if (first === "" && last === "") return "whole"
  if (first === "") {
    const wanted = Math.min(Number(last), size)
    return wanted === 0 ? "unsatisfiable" : [size - wanted, size - 1]
  }
  if (last !== "" && Number(last) < Number(first)) return "whole"
  if (Number(first) >= size) return "unsatisfiable"
  return [Number(first), last === "" ? size - 1 : Math.min(Number(last), size - 1)]
}
