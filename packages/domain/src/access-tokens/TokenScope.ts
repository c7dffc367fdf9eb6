import { Context } from "effect"
import type { Scope } from "./Scope.ts"

/**
 * Annotates an endpoint with what a token needs to call it: that scope, or any token at all (`any`). Without the
 * annotation no token may: what is added later is a person's own, until somebody decides otherwise.
 */
export const TokenScope = Context.Reference<Scope | "any" | "none">(
  "@edge-relay/domain/access-tokens/TokenScope",
  { defaultValue: () => "none" }
)

/**
 * Annotates an endpoint that answers of the edges within a token's reach and hides all others by itself. A token for
 * some edges may call these, and those whose path names an edge; whatever else speaks of the whole tenant.
 */
export const HidesBeyondReach = Context.Reference<boolean>(
  "@edge-relay/domain/access-tokens/HidesBeyondReach",
  { defaultValue: () => false }
)
