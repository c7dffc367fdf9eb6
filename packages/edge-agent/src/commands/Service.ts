import { Console, Effect, FileSystem, Path, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { AgentState } from "../AgentState.ts"
import type { Surroundings } from "../Surroundings.ts"
import * as SystemdUnit from "../SystemdUnit.ts"
import * as StateFolder from "./StateFolder.ts"

/** `edge-relay service …` */

export class CannotInstall extends Schema.TaggedError<CannotInstall>()("CannotInstall", {
  message: Schema.String
}) {}

export const make = (surroundings: Surroundings) =>
  Command.make("service").pipe(
    Command.withDescription("Run the agent as a service"),
    Command.withSubcommands([install(surroundings)])
  )

const install = (surroundings: Surroundings) =>
  Command.make(
    "install",
    {
      state: StateFolder.flag(surroundings),
      dryRun: Flag.Boolean("dry-run").pipe(
        Flag.withDescription("Print the unit and write nothing"),
        Flag.withDefault(false)
      )
    },
    Effect.fn(function* ({ dryRun, state: folder }) {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const unit = SystemdUnit.make({
        ...surroundings,
        state: path.resolve(folder),
        system: surroundings.isRoot
      })
      if (dryRun) return yield* Console.log(unit)
      yield* AgentState.use((state) => state.read).pipe(StateFolder.provide(folder))
      const units = surroundings.isRoot
        ? "/etc/systemd/system"
        : path.join(surroundings.home, ".config/systemd/user")
      const file = path.join(units, "edge-relay.service")
      yield* fs.makeDirectory(units, { recursive: true }).pipe(
        Effect.andThen(fs.writeFileString(file, unit)),
        Effect.mapError(
          (error) => new CannotInstall({ message: `cannot write ${file} (${error.reason._tag})` })
        )
      )
      const user = surroundings.isRoot ? "" : " --user"
      yield* Console.log(`Wrote ${file}. Start it: systemctl${user} enable --now edge-relay`)
    })
  ).pipe(
    Command.withDescription("Write a systemd unit that keeps the agent running"),
    Command.withExamples([
      { command: "edge-relay service install --dry-run", description: "See the unit first" }
    ])
  )
