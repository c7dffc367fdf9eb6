import { Effect, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { run } from "../Run.ts"
import type { Surroundings } from "../Surroundings.ts"
import * as StateFolder from "./StateFolder.ts"

/** `edge-relay run` */
export const make = (surroundings: Surroundings) =>
  Command.make(
    "run",
    {
      grace: Flag.Int("grace").pipe(
        Flag.withMetavar("SECONDS"),
        Flag.withDescription("How long what is under way may go on when the agent is stopped"),
        Flag.withSchema(Grace),
        Flag.withDefault(10)
      ),
      state: StateFolder.flag(surroundings)
    },
    ({ grace, state }) =>
      Effect.scoped(run({ ...surroundings, graceSeconds: grace })).pipe(StateFolder.provide(state))
  ).pipe(
    Command.withDescription("Keep this machine reachable, until you stop it"),
    Command.withExamples([
      { command: "edge-relay run", description: "In a terminal; Ctrl-C stops it" },
      { command: "edge-relay run --grace 60", description: "With a minute for downloads to end" }
    ])
  )

const Grace = Schema.Int.check(
  Schema.makeFilter((seconds) =>
    seconds >= 0 && seconds <= 86_400 ? undefined : "expected seconds, 0 to 86400"
  )
)
