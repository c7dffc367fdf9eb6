import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Console, Effect, Exit, Layer, Logger, References } from "effect"
import { BadConfiguration } from "./Environment.ts"
import { CannotListen } from "./Listening.ts"

/** How a server runs as a process: its log, what it says when it cannot start, its exit status. */

export interface Logging {
  readonly logLevel: "Debug" | "Info" | "Warn" | "Error"
  readonly logFormat: "json" | "pretty"
}

export const layerLogging = ({ logFormat, logLevel }: Logging) =>
  Layer.mergeAll(
    Logger.layer([logFormat === "json" ? Logger.consoleJson : Logger.consolePretty()]),
    Layer.succeed(References.MinimumLogLevel, logLevel)
  )

/** `EX_CONFIG` of sysexits.h: to start it again changes nothing until somebody has changed the configuration. */
const badConfiguration = 78

/** Runs until it is told to stop, or cannot go on. */
export const run = <E extends { readonly message: string }>(program: Effect.Effect<never, E>): void =>
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
