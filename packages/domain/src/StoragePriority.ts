import { Context } from "effect"

/**
 * Whose work a store is asked to do, where it must choose what comes first: `low` is the work of callers who are
 * not signed in, and waits behind all other. It changes the order alone, never the outcome.
 */
export const StoragePriority = Context.Reference<"normal" | "low">("@edge-relay/domain/StoragePriority", {
  defaultValue: () => "normal"
})
