import { Forbidden } from "@edge-relay/domain/api/Problem"
import { isAtLeast, type Role } from "@edge-relay/domain/sign-in/Role"

/** Refuses who may less than that: in the middleware, and in the gateway. */
export const refusal = (role: Role, needed: Role): Forbidden | undefined =>
  isAtLeast(role, needed)
    ? undefined
    : new Forbidden({ detail: `This takes the role ${needed}, and yours is ${role}.` })
