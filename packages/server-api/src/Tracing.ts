import * as Tracing from "@edge-relay/tunnel/Tracing"
import { Effect, Layer } from "effect"
import { HttpMiddleware, UrlParams } from "effect/http"
import { Config } from "./Config.ts"

/**
 * Spans of the API server, and what must not be in them: queries hold a sign-in's code and state, and who reads a
 * user code in time could approve its edge as theirs.
 */
export const layer = Layer.unwrap(
  Effect.map(Config, ({ tracing }) =>
    Layer.mergeAll(
      Tracing.layer(tracing),
      Layer.succeed(UrlParams.CurrentRedactedNames, [/^/]),
      Layer.succeed(HttpMiddleware.TracerDisabledWhen, ({ url }) => url.startsWith("/api/pairing/requests/"))
    )
  )
)
