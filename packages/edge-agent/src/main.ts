#!/usr/bin/env node
import { tuneHeap } from "@edge-relay/server-kit/HeapTuning"
import { NodeCrypto, NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Layer, Logger } from "effect"
import { Command } from "effect/cli"
import { homedir } from "node:os"
import { isSea } from "node:sea"
import { fileURLToPath } from "node:url"
import * as EdgeRelayCommand from "./EdgeRelayCommand.ts"
import manifest from "../package.json" with { type: "json" }

/** `edge-relay`: exit status 1 where it could not do it, 2 for a wrong command line, 3 for a revoked token. */

tuneHeap()

const command = EdgeRelayCommand.make({
  version: manifest.version,
  environment: process.env,
  home: homedir(),
  program: isSea() ? [process.execPath] : [process.execPath, fileURLToPath(import.meta.url)],
  isRoot: process.getuid?.() === 0
})

const statuses: Readonly<Record<string, number>> = { TunnelRevoked: 3, ShowHelp: 2 }

NodeRuntime.runMain(
  Command.run(command, { version: manifest.version }).pipe(
    // A wrong command line has been explained already, with the help text.
    Effect.tapError((error) => (error._tag === "ShowHelp" ? Effect.void : Console.error(error.message))),
    Effect.provide(
      Layer.mergeAll(
        NodeServices.layer,
        NodeCrypto.layer,
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
      if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return onExit(0)
      const error = Cause.squash(exit.cause)
      const tag = typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : ""
      onExit(statuses[tag] ?? 1)
    }
  }
)
