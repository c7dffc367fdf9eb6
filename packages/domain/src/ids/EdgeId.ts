import { Schema } from "effect"
import * as TypeId from "./TypeId.ts"

/** A machine behind NAT: `edge_…`. */
export const EdgeId = TypeId.schema("edge").pipe(Schema.brand("EdgeId"))
export type EdgeId = typeof EdgeId.Type
