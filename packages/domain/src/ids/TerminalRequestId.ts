import { Schema } from "effect"
import * as TypeId from "./TypeId.ts"

/** The public name of a sign-in that was begun at a terminal (RFC 8628): `treq_…`. */
export const TerminalRequestId = TypeId.schema("treq").pipe(Schema.brand("TerminalRequestId"))
export type TerminalRequestId = typeof TerminalRequestId.Type
