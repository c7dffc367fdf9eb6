import { Schema } from "effect"
import * as TypeId from "./TypeId.ts"

/** The public name of a pairing that was begun at an edge (RFC 8628): `preq_…`. */
export const PairingRequestId = TypeId.schema("preq").pipe(Schema.brand("PairingRequestId"))
export type PairingRequestId = typeof PairingRequestId.Type
