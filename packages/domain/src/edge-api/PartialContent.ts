/**
 * A download in the OpenAPI document: beside 200 it may answer 206 with one range (RFC 9110 §15.3.7), or 304. An
 * endpoint of `HttpApi` can declare one stream only, so these are written into its operation.
 */
export const partialContent = (operation: Record<string, unknown>): Record<string, unknown> => {
  const responses = typeof operation["responses"] === "object" ? operation["responses"] : {}
  return {
    ...operation,
    responses: {
      ...responses,
      206: {
        description: "The range that was asked for",
        headers: { "Content-Range": { schema: { type: "string" }, description: "bytes first-last/size" } },
        content: { "application/octet-stream": { schema: { type: "string", format: "binary" } } }
      },
      304: { description: "The client has it: `If-None-Match` names its ETag" }
    }
  }
}
