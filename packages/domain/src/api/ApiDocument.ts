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
  RequestTimeout,
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
  RequestTimeout,
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
 * Completes the OpenAPI document with what the endpoints do not know of themselves: the session's cookie, which
 * middleware asks for, and, where the edge API is mounted, whose edge it is and what may go wrong on the way there.
 */
export const complete = (document: {
  readonly [key: string]: unknown
}): { readonly [key: string]: unknown } => {
  // As `OpenApi.fromApi` makes it, whose own type is wider than a transformation is given.
  const { components, paths } = document as {
    readonly components: { readonly [key: string]: unknown }
    readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } }
  }
  return {
    ...document,
    components: { ...components, securitySchemes: { session } },
    paths: Object.fromEntries(
      Object.entries(paths).map(([path, operations]) =>
        path.startsWith(`${mountPath}/`)
          ? [path.replace(":edgeId", "{edgeId}"), mapValues(operations, describeMounted)]
          : [path, mapValues(operations, describeOwn)]
      )
    )
  }
}

const session = {
  type: "apiKey",
  in: "cookie",
  name: "__Host-session",
  description: "Set by signing in at /api/auth/login. Over http on localhost it is called session."
}

const forTheSignedIn = [{ session: [] }]

const describeOwn = (operation: Operation): Operation =>
  operation.responses?.["401"] === undefined ? operation : { ...operation, security: forTheSignedIn }

interface Operation {
  readonly parameters?: ReadonlyArray<unknown>
  readonly responses?: { readonly [status: string]: unknown }
  readonly security?: ReadonlyArray<unknown>
}

const describeMounted = (operation: Operation): Operation => ({
  ...operation,
  security: forTheSignedIn,
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
