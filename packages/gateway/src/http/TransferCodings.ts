import { MalformedResponse } from "./MalformedResponse.ts"

/** Codings that browsers also know as ones of the content; by RFC 9112 §7.2 `x-gzip` is another name. */
const known: ReadonlyMap<string, string> = new Map([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"]
])

/** Nobody compresses twice in earnest. */
const maxCodings = 1

/** The codings of a `Transfer-Encoding` before its last one, which is chunked, once (RFC 9112 §6.1). */
export const beforeChunked = (transferEncoding: string): ReadonlyArray<string> => {
  const codings = transferEncoding
    .split(",")
    .map((coding) => coding.replaceAll(/^[\t ]+|[\t ]+$/g, "").toLowerCase())
  if (codings.pop() !== "chunked" || codings.length > maxCodings) {
    throw new MalformedResponse("a transfer coding that is not chunked")
  }
  return codings.map((coding) => {
    const name = known.get(coding)
    if (name === undefined) throw new MalformedResponse("a transfer coding that is not known")
    return name
  })
}
