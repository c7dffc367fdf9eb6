import { Schema } from "effect"

/**
 * What a token may be used for: to read of edges, to change and remove them, to reach their local servers over HTTP
 * (`gateway`) and as plain streams (`forward`), to pair new ones. None includes another.
 */
export const Scope = Schema.Literals(["edges:read", "edges:write", "gateway", "forward", "pairing"]).annotate(
  {
    identifier: "Scope"
  }
)
export type Scope = typeof Scope.Type

export const scopes = Scope.literals
