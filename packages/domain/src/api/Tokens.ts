import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { EdgeReach } from "../access-tokens/EdgeReach.ts"
import { Scope } from "../access-tokens/Scope.ts"
import { AccessTokenId } from "../ids/AccessTokenId.ts"
import { EdgeId } from "../ids/EdgeId.ts"
import { NeededRole } from "../sign-in/Role.ts"
import { Authorization } from "./Authorization.ts"
import { BodyRules, ChangeLimit, Conventions } from "./Conventions.ts"
import { Label } from "./Edges.ts"
import { Page, pageQuery } from "./Page.ts"
import { EdgeName } from "./PlainText.ts"
import { NotFound } from "./Problem.ts"
import { Timestamp } from "./Timestamp.ts"

/** The longest life of a token, in seconds: a year. */
export const maxTokenSeconds = 365 * 86_400

const Reach = Schema.Struct({
  ids: Schema.optionalKey(Schema.Array(EdgeId).check(Schema.isMaxLength(100))),
  labels: Schema.optionalKey(Schema.Array(Label).check(Schema.isMaxLength(32)))
}).check(
  Schema.makeFilter(
    ({ ids = [], labels = [] }) => ids.length + labels.length > 0 || "at least one id or label is needed"
  )
)

const view = {
  id: AccessTokenId,
  name: Schema.String,
  scopes: Schema.Array(Scope),
  /** Null: all of the tenant's. */
  edges: Schema.NullOr(EdgeReach),
  createdAt: Timestamp,
  expiresAt: Timestamp,
  /** To the minute. */
  lastUsedAt: Schema.NullOr(Timestamp),
  lastUsedFrom: Schema.NullOr(Schema.String)
}

export const AccessTokenView = Schema.Struct(view).annotate({ identifier: "AccessToken" })

/** The secret is shown this once. */
export const NewAccessToken = Schema.Struct({ ...view, token: Schema.String }).annotate({
  identifier: "NewAccessToken"
})

/** A person's access tokens, for scripts. No token makes, lists or revokes tokens. */
export class TokensApi extends HttpApiGroup.make("tokens")
  .add(
    HttpApiEndpoint.post("create", "/api/tokens", {
      payload: Schema.Struct({
        name: EdgeName,
        scopes: Schema.Array(Scope).check(Schema.isMinLength(1), Schema.isMaxLength(16)),
        /** Only these edges, and those with any of these labels. */
        edges: Schema.optionalKey(Reach),
        expiresInSeconds: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxTokenSeconds }))
      }),
      success: NewAccessToken.pipe(HttpApiSchema.status(201))
    }),
    HttpApiEndpoint.get("list", "/api/tokens", { query: pageQuery, success: Page(AccessTokenView) }),
    HttpApiEndpoint.delete("revoke", "/api/tokens/:id", {
      params: { id: AccessTokenId },
      success: HttpApiSchema.NoContent,
      error: NotFound
    })
  )
  .annotateEndpoints(NeededRole, "viewer")
  .middleware(BodyRules)
  .middleware(ChangeLimit)
  .middleware(Authorization)
  .middleware(Conventions)
  .annotateMerge(
    OpenApi.annotations({ title: "Tokens", description: "Personal access tokens, for scripts and CI." })
  ) {}
