import { Schema } from "effect"
import * as TypeId from "./TypeId.ts"

/** Somebody who can sign in: an issuer and a subject of it, both. The same pair has the same id for ever. */
export const UserId = TypeId.schema("user").pipe(Schema.brand("UserId"))
export type UserId = typeof UserId.Type
