import * as Api from "@edge-relay/server-api/Config"
import { markEarly, tuneHeap } from "@edge-relay/server-kit/HeapTuning"
import * as Program from "@edge-relay/server-kit/Program"
import { Effect, Layer } from "effect"
import * as Backends from "./Backends.ts"
import * as Config from "./Config.ts"
import * as Server from "./Server.ts"

/** `npm run server`: api and proxy in one process, configured by the environment alone. */
tuneHeap()
markEarly()
Program.run(
  Layer.launch(
    Server.layer.pipe(
      Layer.provide(Backends.layer),
      Layer.provide(Layer.unwrap(Effect.map(Api.Config, Program.layerLogging))),
      Layer.provide(Config.layer)
    )
  )
)
