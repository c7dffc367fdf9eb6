import { Effect } from "effect"
import { Command } from "effect/cli"
import { run } from "../Run.ts"
import type { Surroundings } from "../Surroundings.ts"
import * as StateFolder from "./StateFolder.ts"

/** `edge-relay run` */
export const make = (surroundings: Surroundings) =>
  Command.make("run", { state: StateFolder.flag(surroundings) }, ({ state }) =>
    Effect.scoped(run(surroundings)).pipe(StateFolder.provide(state))
  ).pipe(
    Command.withDescription("Keep this machine reachable, until you stop it"),
    Command.withExamples([{ command: "edge-relay run", description: "In a terminal; Ctrl-C stops it" }])
  )
