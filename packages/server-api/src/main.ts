import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Console, Effect, Exit, Layer, Logger, References } from "effect"
import * as Backends from "./Backends.ts"
import { BadConfiguration, Config } from "./Config.ts"
import { CannotListen } from "./Listening.ts"
import * as Server from "./Server.ts"

/** `npm run api`: the API server, configured by the environment alone. */

const logging = Layer.unwrap(
  Effect.map(Config, ({ logFormat, logLevel }) =>
    Layer.mergeAll(
      Logger.layer([logFormat === "json" ? Logger.consoleJson : Logger.consolePretty()]),
      Layer.succeed(References.MinimumLogLevel, logLevel)
    )
  )
)

const program = Layer.launch(
  Backends.layerReadiness.pipe(
    Layer.provide(Server.layer),
    Layer.provide(Backends.layer),
    Layer.provide(logging),
    Layer.provide(Config.layer)
  )
)

/** `EX_CONFIG` of sysexits.h: to start it again changes nothing until somebody has changed the configuration. */
const badConfiguration = 78

NodeRuntime.runMain(
  // What keeps it from starting is said in a line that a person reads, whatever the log's format.
  Effect.tapError(program, (error) => Console.error(error.message)),
  {
    disableErrorReporting: true,
    teardown: (exit, onExit) => {
      if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return onExit(0)
      const error = Cause.squash(exit.cause)
      const isConfiguration = error instanceof BadConfiguration || error instanceof CannotListen
      onExit(isConfiguration ? badConfiguration : 1)
    }
  }
)
