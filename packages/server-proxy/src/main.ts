import * as Program from "@edge-relay/server-kit/Program"
import { markEarly, tuneHeap } from "@edge-relay/server-kit/HeapTuning"
import { Effect, Layer } from "effect"
import * as Backends from "./Backends.ts"
import { Config } from "./Config.ts"
import * as Server from "./Server.ts"

/** `npm run proxy`: the proxy, configured by the environment alone. */
tuneHeap()
markEarly()
Program.run(
  Layer.launch(
    Server.layer.pipe(
      Layer.provide(Backends.layer),
      Layer.provide(Layer.unwrap(Effect.map(Config, Program.layerLogging))),
      Layer.provide(Config.layer)
    )
  )
)
