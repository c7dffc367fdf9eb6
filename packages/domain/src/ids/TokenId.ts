import { Schema } from "effect"
import * as TypeId from "./TypeId.ts"

/** The public name of a session token, the secret an agent opens its tunnel with. It opens nothing: `tok_…`. */
export const TokenId = TypeId.schema("tok").pipe(Schema.brand("TokenId"))
export type TokenId = typeof TokenId.Type
