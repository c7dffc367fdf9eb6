import { Schema } from "effect"

/**
 * A local server that speaks HTTP, as an edge's agent knows it. `origin` is the address that the agent connects to, as
 * an origin (RFC 6454 §6.2): `http://nas.local:8080`. It stands in headers: nothing that could break a line is in it.
 */
export const LocalServer = Schema.Struct({
  origin: Schema.String.check(Schema.isMaxLength(255), Schema.isPattern(/^https?:\/\/[\w.:[\]-]+$/)),
  /** Whose address the server reads in `Host`, `Origin` and `Referer`: the one in the browser, or its own. */
  hostHeader: Schema.Literals(["public", "local"])
})
export type LocalServer = typeof LocalServer.Type
