import * as Roles from "@edge-relay/auth/session/Roles"
import { lacks } from "@edge-relay/auth/tokens/TokenAuthorization"
import type { Forbidden, InsufficientScope } from "@edge-relay/domain/api/Problem"
import { isSafeMethod } from "@edge-relay/domain/api/SafeMethod"
import { type Caller, isToken } from "./Caller.ts"

/**
 * Refuses a token without the scope, and a viewer what is not only looking: a method that changes something, another
 * protocol, a stream. What a local server does on GET is its own affair.
 */
export const refusal = (
  caller: Caller,
  asked: {
    readonly method: string
    readonly upgraded: object | undefined
    readonly route: { readonly stream?: string }
  }
): InsufficientScope | Forbidden | undefined => {
  const isStream = asked.route.stream !== undefined
  const isLooking = isSafeMethod(asked.method) && asked.upgraded === undefined && !isStream
  const scope = isToken(caller) ? lacks(caller, isStream ? "forward" : "gateway") : undefined
  return scope ?? Roles.refusal(caller.role, isLooking ? "viewer" : "operator")
}
