import * as Program from "@edge-relay/server-kit/Program"
import { tuneHeap } from "@edge-relay/server-kit/HeapTuning"
import { Effect, Layer } from "effect"
import * as Backends from "./Backends.ts"
import { Config } from "./Config.ts"
import * as Server from "./Server.ts"

/** `npm run api`: the API server, configured by the environment alone. */
tuneHeap()
Program.run(
  Layer.launch(
    Backends.layerReadiness.pipe(
      Layer.provide(Server.layer),
      Layer.provide(Backends.layer),
      Layer.provide(Layer.unwrap(Effect.map(Config, Program.layerLogging))),
      Layer.provide(Config.layer)
    )
  )
)
