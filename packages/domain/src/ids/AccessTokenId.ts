import { Schema } from "effect"
import * as TypeId from "./TypeId.ts"

/** The public name of a personal access token. It opens nothing: `pat_…`. */
export const AccessTokenId = TypeId.schema("pat").pipe(Schema.brand("AccessTokenId"))
export type AccessTokenId = typeof AccessTokenId.Type
