import { Schema } from "effect"
import * as TypeId from "./TypeId.ts"

/** Who owns data: what `OIDC_TENANT_CLAIM` says of a user, or the user alone. */
export const TenantId = TypeId.schema("tenant").pipe(Schema.brand("TenantId"))
export type TenantId = typeof TenantId.Type
