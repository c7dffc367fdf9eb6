import { Schema } from "effect"
import * as TypeId from "./TypeId.ts"

/** The public name of a pairing code made in the console: `code_…`. */
export const PairingCodeId = TypeId.schema("code").pipe(Schema.brand("PairingCodeId"))
export type PairingCodeId = typeof PairingCodeId.Type
