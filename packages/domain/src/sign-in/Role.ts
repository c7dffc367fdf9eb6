import { Context, Schema } from "effect"

/**
 * What somebody may do in their tenant. A viewer looks, an operator also works with edges, an admin also decides which
 * edges there are: pairs, removes and gives new tokens, and reads the audit log. Each may what those before it may.
 */
export const Role = Schema.Literals(["viewer", "operator", "admin"]).annotate({ identifier: "Role" })
export type Role = typeof Role.Type

export const isAtLeast = (role: Role, needed: Role): boolean =>
  Role.literals.indexOf(role) >= Role.literals.indexOf(needed)

/** The one that may most; null of none. */
export const highest = (roles: ReadonlyArray<Role>): Role | null =>
  Role.literals.findLast((role) => roles.includes(role)) ?? null

/** Annotates an endpoint with the role that it takes. Without it only an admin may: until somebody decides otherwise. */
export const NeededRole = Context.Reference<Role>("@edge-relay/domain/sign-in/NeededRole", {
  defaultValue: () => "admin"
})
