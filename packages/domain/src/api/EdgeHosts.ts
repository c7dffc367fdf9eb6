import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { BodyRules, Conventions } from "./Conventions.ts"
import { InvalidRequest, StorageUnavailable } from "./Problem.ts"

/** Which browser wants to enter which edge's host. */
export const EnterQuery = Schema.Struct({
  /** The edge's host, with its port. */
  host: Schema.String,
  /** Which of the browser's attempts this is, for the host. */
  attempt: Schema.String.check(Schema.isPattern(/^[\w-]{8}$/)),
  /** SHA-256, base64url, of the nonce that the host gave the browser. */
  challenge: Schema.String.check(Schema.isPattern(/^[\w-]{43}$/)),
  /** The browser comes from the identity provider. */
  after: Schema.optionalKey(Schema.Literal("sign-in"))
})

/**
 * The way from our origin to an edge's own host: a browser without a session on that host is sent here, and back
 * with a ticket. Answers are redirects and pages.
 */
export class EdgeHostsApi extends HttpApiGroup.make("edgeHosts")
  .add(
    HttpApiEndpoint.get("enter", "/api/auth/edge", {
      query: EnterQuery.fields,
      success: HttpApiSchema.Empty(302),
      error: [InvalidRequest, StorageUnavailable]
    })
  )
  .middleware(BodyRules)
  .middleware(Conventions)
  .annotateMerge(
    OpenApi.annotations({
      title: "Edge hosts",
      description: "Takes a signed-in browser to an edge's own host."
    })
  ) {}
