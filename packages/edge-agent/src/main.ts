#!/usr/bin/env node
import { tuneHeap } from "@edge-relay/server-kit/HeapTuning"
import { NodeCrypto, NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Effect, Exit, Layer, Logger } from "effect"
import { CliOutput, Command } from "effect/cli"
import { existsSync } from "node:fs"
import { homedir } from "node:os"
import { isSea } from "node:sea"
import { fileURLToPath } from "node:url"
import * as CommandLine from "./CommandLine.ts"
import * as EdgeRelayCommand from "./EdgeRelayCommand.ts"
import * as ExitStatus from "./ExitStatus.ts"
import manifest from "../package.json" with { type: "json" }

/** `edge-relay`, as a process. */

tuneHeap()

const command = EdgeRelayCommand.make({
  version: manifest.version,
  environment: process.env,
  home: homedir(),
  program: isSea() ? [process.execPath] : [process.execPath, fileURLToPath(import.meta.url)],
  isRoot: process.getuid?.() === 0,
  isBooted: existsSync("/run/systemd/system")
})

NodeRuntime.runMain(
  Command.run(command, { version: manifest.version }).pipe(
    Effect.tapError(CommandLine.print),
    Effect.provide(
      Layer.mergeAll(
        NodeServices.layer,
        NodeCrypto.layer,
        CliOutput.layerPresenter(CommandLine.presenter),
        Layer.succeed(Logger.LogToStderr, true),
        Logger.layer([
          process.stderr.isTTY ? Logger.consolePretty() : Logger.withConsoleError(Logger.formatSimple)
        ])
      )
    )
  ),
  {
    disableErrorReporting: true,
    teardown: (exit, onExit) => {
      // Ctrl-C is how it is stopped, and no failure.
      if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause))
        return onExit(ExitStatus.ExitStatus.done)
      onExit(ExitStatus.exitStatusOf(Cause.squash(exit.cause)))
    }
  }
)
