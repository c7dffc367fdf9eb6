import {
  BadMessage,
  CrossSite,
  EdgeBusy,
  EdgeNotFound,
  EdgeOffline,
  EdgeRefused,
  EdgeReset,
  EdgeTimeout,
  InternalError,
  StorageUnavailable,
  Unauthorized,
  Unavailable
} from "./Problem.ts"

/** Where the edge API, and whatever else an edge serves, is found in the cloud's. */
export const mountPath = "/api/edges/:edgeId"

/** What the gateway answers itself, for an edge that it cannot or may not ask. */
const gatewayProblems = [
  BadMessage,
  Unauthorized,
  CrossSite,
  EdgeNotFound,
  EdgeBusy,
  InternalError,
  EdgeRefused,
  EdgeReset,
  EdgeOffline,
  StorageUnavailable,
  Unavailable,
  EdgeTimeout
].map((Problem) => new Problem({}))

/**
 * Completes the OpenAPI document where the edge API is mounted: its endpoints do not know of the prefix's
 * parameter, nor of what may go wrong on the way to the edge.
 */
export const describeMounted = (document: {
  readonly [key: string]: unknown
}): { readonly [key: string]: unknown } => {
  // As `OpenApi.fromApi` makes it, whose own type is wider than a transformation is given.
  const paths = document["paths"] as { readonly [path: string]: { readonly [method: string]: Operation } }
  return {
    ...document,
    paths: Object.fromEntries(
      Object.entries(paths).map(([path, operations]) =>
        path.startsWith(`${mountPath}/`)
          ? [path.replace(":edgeId", "{edgeId}"), mapValues(operations, describe)]
          : [path, operations]
      )
    )
  }
}

interface Operation {
  readonly parameters?: ReadonlyArray<unknown>
  readonly responses?: { readonly [status: string]: unknown }
}

const describe = (operation: Operation): Operation => ({
  ...operation,
  parameters: [
    { name: "edgeId", in: "path", required: true, schema: { type: "string", pattern: edgeIdPattern } },
    ...(operation.parameters ?? [])
  ],
  responses: { ...operation.responses, default: gatewayAnswer }
})

const edgeIdPattern = "^edge_[0-7][0-9abcdefghjkmnpqrstvwxyz]{25}$"

const gatewayAnswer = {
  description: `What the cloud answers itself: ${gatewayProblems.map(({ code, status }) => `${status} ${code}`).join(", ")}`,
  content: {
    "application/problem+json": {
      schema: {
        type: "object",
        required: ["type", "title", "status", "code", "requestId"],
        properties: {
          type: { type: "string" },
          title: { type: "string" },
          status: { type: "integer" },
          code: { type: "string", enum: gatewayProblems.map(({ code }) => code) },
          detail: { type: "string" },
          requestId: { type: "string" }
        }
      }
    }
  }
}

const mapValues = <A, B>(
  record: { readonly [key: string]: A },
  f: (value: A) => B
): { readonly [key: string]: B } =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]))
