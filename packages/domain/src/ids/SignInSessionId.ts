import { Schema } from "effect"
import * as TypeId from "./TypeId.ts"

/** The public name of a sign-in, for lists and logs. It opens nothing: the cookie holds another secret. */
export const SignInSessionId = TypeId.schema("sess").pipe(Schema.brand("SignInSessionId"))
export type SignInSessionId = typeof SignInSessionId.Type
