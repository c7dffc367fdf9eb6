import * as Tracing from "@edge-relay/server-kit/Tracing"
import { Effect, Layer } from "effect"
import { HttpMiddleware } from "effect/http"
import { Config } from "./Config.ts"

/** Spans of the API server, but for paths with a secret: who reads a user code in time could approve its edge. */
export const layer = Layer.unwrap(
  Effect.map(Config, ({ tracing }) =>
    Layer.mergeAll(
      Tracing.layer(tracing),
      Layer.succeed(HttpMiddleware.TracerDisabledWhen, ({ url }) => url.startsWith("/api/pairing/requests/"))
    )
  )
)
