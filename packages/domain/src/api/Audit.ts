import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { AuditAction, StoredAuditAction } from "../audit/AuditAction.ts"
import { AuditId } from "../ids/AuditId.ts"
import { EdgeId } from "../ids/EdgeId.ts"
import { Authorization } from "./Authorization.ts"
import { BodyRules, Conventions } from "./Conventions.ts"
import { Page, pageQuery } from "./Page.ts"
import { Timestamp } from "./Timestamp.ts"

export const AuditEvent = Schema.Struct({
  id: AuditId,
  at: Timestamp,
  action: StoredAuditAction,
  outcome: Schema.Literals(["success", "failure"]),
  actor: Schema.NullOr(Schema.String),
  edgeId: Schema.NullOr(EdgeId),
  address: Schema.NullOr(Schema.String),
  requestId: Schema.NullOr(Schema.String),
  detail: Schema.NullOr(Schema.String)
}).annotate({ identifier: "AuditEvent" })

/** Who did what, when, from where: of this tenant, newest first. */
export class AuditApi extends HttpApiGroup.make("audit")
  .add(
    HttpApiEndpoint.get("list", "/api/audit", {
      query: {
        ...pageQuery,
        action: Schema.optionalKey(AuditAction),
        edgeId: Schema.optionalKey(EdgeId)
      },
      success: Page(AuditEvent)
    })
  )
  .middleware(BodyRules)
  .middleware(Authorization)
  .middleware(Conventions)
  .annotateMerge(OpenApi.annotations({ title: "Audit", description: "Who did what, when, from where." })) {}
