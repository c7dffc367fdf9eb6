import { Schema } from "effect"
import * as TypeId from "./TypeId.ts"

/** An entry of the audit log: `audit_…`. */
export const AuditId = TypeId.schema("audit").pipe(Schema.brand("AuditId"))
export type AuditId = typeof AuditId.Type
