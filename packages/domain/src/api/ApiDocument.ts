import {
  BadMessage,
  CrossSite,
  EdgeBusy,
  EdgeNotFound,
  EdgeOffline,
  EdgeRefused,
  EdgeReset,
  EdgeTimeout,
  Forbidden,
  InsufficientScope,
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
  InsufficientScope,
  Forbidden,
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

/** What a token needs for an operation of the cloud's own. */
type ScopeOf = (operationId: string) => string

/**
 * Completes the OpenAPI document with what the endpoints do not know of themselves: the session's cookie or the token
 * and its scope, which middleware asks for, and, where the edge API is mounted, whose edge it is and what may go wrong on the way there.
 */
export const complete =
  (scopeOf: ScopeOf) =>
  (document: { readonly [key: string]: unknown }): { readonly [key: string]: unknown } => {
    // As `OpenApi.fromApi` makes it, whose own type is wider than a transformation is given.
    const { components, paths } = document as {
      readonly components: { readonly [key: string]: unknown }
      readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } }
    }
    return {
      ...document,
      components: { ...components, securitySchemes: { session, token } },
      paths: Object.fromEntries(
        Object.entries(paths).map(([path, operations]) =>
          path.startsWith(`${mountPath}/`)
            ? [path.replace(":edgeId", "{edgeId}"), mapValues(operations, describeMounted)]
            : [path, mapValues(operations, describeOwn(scopeOf))]
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

const token = {
  type: "http",
  scheme: "bearer",
  bearerFormat: "erp_ and 49 characters of base 62",
  description: "A personal access token, made by POST /api/tokens. The scope that is needed stands beside it."
}

const describeOwn =
  (scopeOf: ScopeOf) =>
  (operation: Operation): Operation =>
    operation.responses?.["401"] === undefined
      ? operation
      : { ...operation, security: security(scopeOf(operation.operationId)) }

const security = (scope: string): ReadonlyArray<unknown> =>
  scope === "none" ? [{ session: [] }] : [{ session: [] }, { token: scope === "any" ? [] : [scope] }]

interface Operation {
  readonly parameters?: ReadonlyArray<unknown>
  readonly responses?: { readonly [status: string]: unknown }
  readonly security?: ReadonlyArray<unknown>
  readonly operationId: string
}

const describeMounted = (operation: Operation): Operation => ({
  ...operation,
  security: security("gateway"),
  parameters: [
    { name: "edgeId", in: "path", required: true, schema: { type: "string", pattern: edgeIdPattern } },
    ...(operation.parameters ?? [])
  ],
  responses: { ...operation.responses, default: gatewayAnswer }
})

const edgeIdPattern = "^edge_[0-7][0-9abcdefghjkmnpqrstvwxyz]{25}$"

const gatewayAnswer = {
  description: `What the cloud answers itself: ${gatewayProblems.map(({ code, status }) => `${status} ${code}`).join(", ")}. What the edge answers passes as it is, but for its trailers, which are dropped.`,
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
